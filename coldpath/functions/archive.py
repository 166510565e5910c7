"""Archive: a programme's recording as VOD playlists over the segments that lie in the bucket.

Runs for every session manifest. Only the final one leads to an archive, over all incarnations of
the programme. Nothing but manifests is read and nothing but text is written: the work was done
while the segments arrived, so the archive of a long programme is ready as soon as that of a short
one, and it waits behind no work that is long (`coldpath.functions.mp4` makes the files). Outputs
are named by a hash of the manifests, so a rerun finds them; an asset is listed once because its key
is unique.
"""

from coldpath.context import JobContext
from coldpath.functions.recorded import ATTEMPTS, Recorded, recorded
from coldpath.functions.registry import registry
from coldpath.media import vod
from coldpath.records import JobResult, NewAsset
from infra.keys import ManifestKey
from infra.lifecycle import Trigger


@registry.function("archive", on=ManifestKey, queue="fast", max_attempts=ATTEMPTS)
def archive(context: JobContext) -> JobResult:
    """Lists the whole of the programme that the job's manifest ends, as VOD playlists."""
    found = recorded(context)
    if isinstance(found, JobResult):
        return found
    asset = _playlists(context, found)
    return JobResult(
        {"content": found.content, "keys": [asset.key]}, [asset], Trigger.ARCHIVE_READY
    )


def _playlists(context: JobContext, found: Recorded) -> NewAsset:
    texts = vod.playlists(found.whole, found.content)
    # The multivariant playlist comes last: whoever sees it finds the others.
    for name, text in texts.items():
        stored = context.put(found.key(name), text.encode(), vod.CONTENT_TYPE)
    return NewAsset(
        kind="vod",
        key=found.key(vod.MULTIVARIANT),
        content_type=vod.CONTENT_TYPE,
        bytes=stored.bytes,
        duration_ms=round(vod.duration(found.whole) * 1000),
        detail={"playlists": sorted(texts)},
    )
