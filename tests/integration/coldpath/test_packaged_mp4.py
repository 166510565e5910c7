"""MP4s of segments as a media node packages them, decoded to the last picture."""

from itertools import pairwise
from pathlib import Path

import av
import pytest

from coldpath.media.live import LiveSession
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.remux import remux
from coldpath.media.samples import samples
from coldpath.media.verify import verify
from coldpath.media.window import Window
from tests.support.coded import EPOCH_NS, FPS
from tests.support.packaged import KEY, SECONDS, packaged

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("video", "audio"),
    [("h264", "aac"), ("h264-b", "opus"), ("hevc", "aac"), ("h264", None)],
)
def test_every_picture_and_all_sound_decode_in_step(
    tmp_path: Path, video: str, audio: str | None
) -> None:
    store = packaged(video, audio)
    whole = Window(EPOCH_NS, EPOCH_NS + SECONDS * 10**9)
    session = LiveSession(store, KEY, "i1", epoch_ns=EPOCH_NS, patient=False).read(whole)
    assert session is not None
    found = recording([session])
    inits = {key: store.get(key) for key in init_keys(found)}
    (piece,) = pieces(found, inits)
    path = tmp_path / piece.name
    out = remux(store, piece, renditions=archived(found), inits=inits, path=path)
    verify(path, out.units)
    with av.open(str(path)) as container:
        shown = sorted(frame.pts for frame in container.decode(video=0) if frame.pts is not None)
        tick = container.streams.video[0].time_base
        assert tick is not None
    assert len(shown) == out.units["video"] > FPS
    assert {round((b - a) * tick * FPS) for a, b in pairwise(shown)} == {1}
    with av.open(str(path)) as container:
        heard = sum(1 for _ in container.decode(audio=0)) if container.streams.audio else 0
        starts = [float((s.start_time or 0) * (s.time_base or 0)) for s in container.streams]
    assert heard == out.units.get("audio", 0)
    firsts = {r: found.runs[0].of(r.name)[0].key for r in archived(found)}
    began = [samples(store.get(key), key).shown / r.timescale for r, key in firsts.items()]
    # They keep their distance, and the one that came first begins the file.
    assert starts == pytest.approx([at - min(began) for at in began], abs=0.001)
