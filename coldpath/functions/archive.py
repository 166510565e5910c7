"""Archive: a programme's recording as MP4 and as a VOD playlist over its segments.

Runs for every session manifest. Only the final one leads to an archive, over all incarnations of
the programme. Outputs are named by a hash of the manifests, so a rerun finds them and does
nothing; an asset is listed once because its key is unique.
"""

from coldpath.context import JobContext
from coldpath.functions.recorded import Recorded, recorded
from coldpath.functions.registry import registry
from coldpath.media import vod
from coldpath.media.pieces import Piece, archived, init_keys, pieces
from coldpath.records import JobResult, NewAsset
from infra.keys import ManifestKey
from infra.lifecycle import Trigger
from infra.storage.objects import ObjectInfo


@registry.function("archive", on=ManifestKey, queue="bulk", max_attempts=8)
def archive(context: JobContext) -> JobResult:
    """Makes the archive of the programme that the job's manifest ends."""
    found = recorded(context)
    if isinstance(found, JobResult):
        return found
    assets = _Archive(context, found).make()
    return JobResult(
        {"content": found.content, "keys": [asset.key for asset in assets]},
        assets,
        Trigger.ARCHIVE_READY,
    )


class _Archive:
    """Writes the outputs of one recording."""

    def __init__(self, context: JobContext, found: Recorded) -> None:
        whole = found.whole
        self._context = context
        self._found = found
        self._renditions = archived(whole)
        self._inits = {key: context.store.get(key) for key in init_keys(whole)}
        self._pieces = pieces(whole, self._inits)
        self._units_total = sum(p.samples(r) for p in self._pieces for r in self._renditions)
        self._units_done = 0

    def make(self) -> list[NewAsset]:
        return [*(self._mp4(piece) for piece in self._pieces), self._playlists()]

    def _mp4(self, piece: Piece) -> NewAsset:
        key = self._found.key(piece.name)
        units = {r.kind: piece.samples(r) for r in self._renditions if r.name in piece.inits}
        stored = self._context.store.head(key)
        if stored is None:
            stored = self._remux(piece, key)
        else:
            self._count(sum(units.values()))
        return NewAsset(
            kind="mp4",
            key=key,
            content_type="video/mp4",
            bytes=stored.bytes,
            duration_ms=round(piece.duration(self._renditions) * 1000),
            detail={"piece": piece.number, "units": units},
        )

    def _remux(self, piece: Piece, key: str) -> ObjectInfo:
        # PyAV takes a moment to import; the dispatcher only needs to know what is bound to what.
        from coldpath.media.remux import remux
        from coldpath.media.verify import verify

        path = self._context.scratch / piece.name
        made = remux(
            self._context.store,
            piece,
            renditions=self._renditions,
            inits=self._inits,
            path=path,
            report=self._count,
        )
        verify(path, made.units)
        stored = self._context.put(key, path, "video/mp4")
        path.unlink()
        return stored

    def _playlists(self) -> NewAsset:
        texts = vod.playlists(self._found.whole, self._found.content)
        # The multivariant playlist comes last: whoever sees it finds the others.
        for name, text in texts.items():
            stored = self._context.put(self._found.key(name), text.encode(), vod.CONTENT_TYPE)
        return NewAsset(
            kind="vod",
            key=self._found.key(vod.MULTIVARIANT),
            content_type=vod.CONTENT_TYPE,
            bytes=stored.bytes,
            duration_ms=round(vod.duration(self._found.whole) * 1000),
            detail={"playlists": sorted(texts)},
        )

    def _count(self, units: int) -> None:
        self._units_done += units
        self._context.progress(self._units_done, self._units_total)
