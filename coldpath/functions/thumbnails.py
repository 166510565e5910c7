"""Thumbnails: a poster that follows a live programme; a poster and a moving preview of the whole.

Only key pictures are decoded, one per segment that is looked at. Live, every fifth segment of the
source's picture is (10 s at the usual segment of 2 s), so the work does not grow with viewers or
renditions. Outputs are named by what they show; a rerun finds them and decodes nothing.
"""

from collections.abc import Sequence
from contextlib import closing

from coldpath.context import JobContext
from coldpath.errors import DamagedMedia, PermanentFailure
from coldpath.functions.recorded import ATTEMPTS, Recorded, recorded
from coldpath.functions.registry import registry
from coldpath.media.live import init_of
from coldpath.media.shots import Shot, shots, spread
from coldpath.records import JobResult, NewAsset
from infra.keys import ManifestKey, SegmentKey, WorkKey, parse
from infra.storage.objects import ObjectStore

POSTER, PREVIEW = "poster.jpg", "preview.webp"
SOURCE = "video"
"""The rendition that live posters are of."""
EVERY = 5
"""Segments from one live poster to the next."""
POSTER_SIDE, LIVE_SIDE = 1280, 640
_CANDIDATES, _FRAMES = 24, 8
_POSTER_LINES = 720
_JUDGED_SIDE = 640
"""Pictures are compared at this size: noise of the encoder is gone, blur is not."""


def _shows_a_live_poster(key: SegmentKey) -> bool:
    return key.rendition == SOURCE and key.msn % EVERY == 0


@registry.function(
    "poster-live",
    on=SegmentKey,
    when=_shows_a_live_poster,
    queue="fast",
    max_attempts=3,
    timeout_s=60,
    backoff_base_ms=1_000,
)
def poster_live(context: JobContext) -> JobResult:
    """Makes a poster of a segment while the programme is live."""
    segment = parse(context.lease.input_key)
    if not isinstance(segment, SegmentKey):
        raise PermanentFailure(f"{context.lease.input_key} is no segment")
    name = f"p{segment.msn}.jpg"
    key = str(WorkKey(segment.program, segment.incarnation, "poster", name))
    if context.store.head(key) is None:
        try:
            context.put(key, _poster_of(context.store, segment), "image/jpeg")
        except DamagedMedia as error:
            # The next one is 10 s away; nothing is gained by a job that is dead.
            return JobResult({"skipped": str(error)})
    asset = _image(context.store, "poster-live", key, "image/jpeg")
    return JobResult({"keys": [key]}, [asset])


@registry.function("thumbnails", on=ManifestKey, queue="fast", max_attempts=ATTEMPTS, memory_mb=384)
def thumbnails(context: JobContext) -> JobResult:
    """Makes poster and preview of the programme that the job's manifest ends."""
    found = recorded(context)
    if isinstance(found, JobResult):
        return found
    keys = [found.key(POSTER), found.key(PREVIEW)]
    # Written in this order, so the last one stands for both.
    if context.store.head(keys[1]) is None:
        chosen = spread(shots(found.whole, lines=_POSTER_LINES), _CANDIDATES)
        if not chosen:
            return JobResult({"skipped": "no picture was recorded"})
        _make(context, found, chosen)
    assets = [
        _image(context.store, "poster", keys[0], "image/jpeg"),
        _image(context.store, "preview", keys[1], "image/webp"),
    ]
    return JobResult({"content": found.content, "keys": keys}, assets)


def _poster_of(store: ObjectStore, segment: SegmentKey) -> bytes:
    # PyAV takes a moment to import; the dispatcher only needs to know what is bound to what.
    from coldpath.media.keyframes import coding, key_picture
    from coldpath.media.preview import jpeg

    init = init_of(store, segment)
    coded = coding(store.get(init), init)
    return jpeg(key_picture(coded, store.get(str(segment)), str(segment), LIVE_SIDE))


def _make(context: JobContext, found: Recorded, chosen: Sequence[Shot]) -> None:
    from coldpath.media.keyframes import Picture, decoded
    from coldpath.media.poster import score
    from coldpath.media.preview import PREVIEW_SIDE, animated, jpeg, reduced

    best: tuple[float, Picture] | None = None
    small: list[tuple[float, Picture]] = []
    with closing(decoded(context.store, chosen, POSTER_SIDE)) as decoding:
        for _, picture in decoding:
            context.check()
            judged = score(reduced(picture, _JUDGED_SIDE))
            small.append((judged, reduced(picture, PREVIEW_SIDE)))
            if best is None or judged > best[0]:
                best = judged, picture
    if best is None:
        raise DamagedMedia(f"none of {len(chosen)} key pictures decodes")
    context.put(found.key(POSTER), jpeg(best[1]), "image/jpeg")
    shown = [picture for judged, picture in small if judged] or [picture for _, picture in small]
    context.put(found.key(PREVIEW), animated(spread(shown, _FRAMES)), "image/webp")


def _image(store: ObjectStore, kind: str, key: str, content_type: str) -> NewAsset:
    from coldpath.media.preview import size

    data = store.get(key)
    width, height = size(data)
    return NewAsset(
        kind=kind,
        key=key,
        content_type=content_type,
        bytes=len(data),
        duration_ms=None,
        detail={"width": width, "height": height},
    )
