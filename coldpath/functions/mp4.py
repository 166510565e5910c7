"""MP4: a programme's recording as a file to download, its access units copied, none encoded.

`archive-mp4` makes that of the source when a programme is over; `mp4` that of any rendition, when
somebody asks for it. Files are named by the manifests and the rendition, so who asks for what is
there already gets it and nothing is read again.
"""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.errors import PermanentFailure
from coldpath.functions.recorded import ATTEMPTS, Recorded, recorded, recorded_of
from coldpath.functions.registry import registry
from coldpath.media.pieces import SOURCE, Piece, archived, init_keys, pieces
from coldpath.media.recording import Recording, narrowed
from coldpath.records import JobResult, NewAsset
from coldpath.storable import mistakes
from infra.keys import ManifestKey
from infra.storage.objects import ObjectInfo

_OPENING = 8
"""Pictures that are decoded of the first group; nothing in it was made anew."""


class Mp4Request(BaseModel):
    """The parameters of `mp4`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rendition: str | None = Field(
        None, max_length=64, description="As the VOD playlist names it; None: the source."
    )


@registry.function("archive-mp4", on=ManifestKey, queue="bulk", max_attempts=ATTEMPTS)
def archive_mp4(context: JobContext) -> JobResult:
    """Makes an MP4 of the source of the programme that the job's manifest ends."""
    found = recorded(context)
    return found if isinstance(found, JobResult) else _made(context, found, found.whole, SOURCE)


@registry.function("mp4", on=Requested, queue="bulk", max_attempts=20, per_project=4)
def mp4(context: JobContext) -> JobResult:
    """Makes an MP4 of one rendition of a programme that is over: params {"rendition": "720p"}."""
    try:
        wanted = Mp4Request.model_validate(dict(context.params)).rendition
    except ValidationError as error:
        raise PermanentFailure(
            f"no MP4 can be made of these parameters: {mistakes(error)}"
        ) from error
    found = recorded_of(context)
    source = next(iter(archived(found.whole)), None)
    if source is None:
        raise PermanentFailure("nothing was recorded")
    if wanted in (None, source.name):
        return _made(context, found, found.whole, SOURCE)
    if wanted not in (names := [r.name for r in found.whole.renditions]):
        raise PermanentFailure(f"there is no rendition {wanted!r}, but {', '.join(names)}")
    return _made(context, found, narrowed(found.whole, wanted), wanted)


def _made(context: JobContext, found: Recorded, part: Recording, stem: str) -> JobResult:
    assets = _Files(context, found, part, stem).make()
    return JobResult({"content": found.content, "keys": [asset.key for asset in assets]}, assets)


class _Files:
    """Writes the files of one picture and one sound."""

    def __init__(self, context: JobContext, found: Recorded, part: Recording, stem: str) -> None:
        self._context = context
        self._found = found
        self._renditions = archived(part)
        self._inits = {key: context.store.get(key) for key in init_keys(part)}
        self._pieces = pieces(part, self._inits, stem)
        self._units_total = sum(p.samples(r) for p in self._pieces for r in self._renditions)
        self._units_done = 0

    def make(self) -> list[NewAsset]:
        return [self._mp4(piece) for piece in self._pieces]

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
            detail={
                "rendition": self._renditions[0].name,
                "piece": piece.number,
                "units": units,
            },
        )

    def _remux(self, piece: Piece, key: str) -> ObjectInfo:
        # PyAV takes a moment to import; the dispatcher only needs to know what is bound to what.
        from coldpath.media.remux import remux
        from coldpath.media.verify import verify

        self._context.require_space(sum(piece.bytes(r) for r in self._renditions))
        path = self._context.scratch / piece.name
        made = remux(
            self._context.store,
            piece,
            renditions=self._renditions,
            inits=self._inits,
            path=path,
            report=self._count,
        )
        verify(path, made.units, opening=_OPENING)
        stored = self._context.put(key, path, "video/mp4")
        path.unlink()
        return stored

    def _count(self, units: int) -> None:
        self._units_done += units
        self._context.progress(self._units_done, self._units_total)
