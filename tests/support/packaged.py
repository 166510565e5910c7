"""A bucket with segments as a media node packages them, of a programme that goes on."""

from hotpath.hls.events import InitNeeded, PartReady
from hotpath.hls.packager import produce
from hotpath.hls.segmenter import Segmenter
from infra.keys import InitKey, ProgramKey, SegmentKey
from infra.storage.memory import MemoryObjectStore
from tests.support.coded import coded, marked

KEY = ProgramKey("p", "e")
SECONDS = 6


def packaged(video: str | None, audio: str | None) -> MemoryObjectStore:
    """With a picture and a sound of these codecs."""
    store = MemoryObjectStore()
    segments: dict[SegmentKey, bytes] = {}
    events = Segmenter().receive(marked(coded(video, audio, seconds=SECONDS)))
    for event, data in zip(events, produce(events), strict=True):
        if isinstance(event, InitNeeded | PartReady):
            assert isinstance(data, bytes)
            track = event.format.track
            if isinstance(event, InitNeeded):
                store.put(str(InitKey(KEY, "i1", track, event.number)), data, "video/mp4")
            else:
                key = SegmentKey(KEY, "i1", track, event.msn)
                segments[key] = segments.get(key, b"") + data
    for key, data in segments.items():
        store.put(str(key), data, "video/mp4")
    return store
