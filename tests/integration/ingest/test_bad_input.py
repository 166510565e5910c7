"""Streams as they should not be: every one gives units or words, never an exception."""

import itertools
import subprocess
from pathlib import Path

import pytest

from hotpath.ingest.session import FormatsChanged, IngestEvent, IngestWarning, TsIngest, UnitsReady
from hotpath.media.clock import WRAP
from hotpath.media.unit import Unit
from tests.support import ts as build
from tests.support.media import AVC_AAC, MPEG2_VIDEO, VIDEO_ONLY, Recipe, ffmpeg, make_ts

pytestmark = pytest.mark.integration


def run(data: bytes) -> list[IngestEvent]:
    session = TsIngest()
    events: list[IngestEvent] = []
    for at in range(0, len(data), 1316):
        session.receive(data[at : at + 1316], at)
        events += session.poll(at)
    session.flush()
    return events + session.poll(len(data))


def units(events: list[IngestEvent], track: str = "video") -> list[Unit]:
    found = [u for e in events if isinstance(e, UnitsReady) for u in e.units]
    return [u for u in found if u.track == track]


def remux(source: Path, target: Path, *options: str) -> bytes:
    command = [ffmpeg(), "-v", "error", "-y", "-i", str(source), "-c", "copy", *options]
    subprocess.run([*command, "-f", "mpegts", str(target)], check=True, timeout=60)
    return target.read_bytes()


def test_pts_wrap_is_continuous(stream: Path, tmp_path: Path) -> None:
    before_wrap = WRAP / 90_000 - 2.5  # ffmpeg adds 1.4 s of its own
    data = remux(stream, tmp_path / "wrap.ts", "-output_ts_offset", f"{before_wrap:.3f}")
    times = [u.dts for u in units(run(data))]
    assert times[0] < WRAP < times[-1]
    assert {b - a for a, b in itertools.pairwise(times)} == {3000}


def test_a_reset_of_timestamps_is_passed_on_as_it_is(stream: Path) -> None:
    data = stream.read_bytes()
    found = units(run(data + data))
    assert len(found) == 240
    jumps = [b.dts - a.dts for a, b in itertools.pairwise(found)]
    assert jumps.count(3000) == 238
    assert min(jumps) < -300_000


def test_a_new_resolution_is_announced_before_its_units(stream: Path, media: Path) -> None:
    small = make_ts(media / "small.ts", Recipe(size="320x180"))
    events = run(stream.read_bytes() + small.read_bytes())
    widths = []
    for event in events:
        if isinstance(event, FormatsChanged):
            widths += [f.width for f in event.formats if f.track == "video"]
    assert list(dict.fromkeys(widths)) == [640, 320]
    assert len(units(events)) == 240


def test_a_stream_without_audio_has_video(media: Path) -> None:
    events = run(make_ts(media / "video-only.ts", VIDEO_ONLY).read_bytes())
    assert len(units(events)) == 120
    assert units(events, "audio") == []


def test_audio_that_stops_does_not_stop_video(stream: Path) -> None:
    data = stream.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    half = len(packets) // 2
    kept = [
        p for i, p in enumerate(packets) if i < half or (p[1] & 0x1F) << 8 | p[2] != build.AUDIO_PID
    ]
    events = run(b"".join(kept))
    assert len(units(events)) == 120
    assert 60 < len(units(events, "audio")) < 120


@pytest.mark.parametrize("cut", [1, 100, 188, 5000, 30_001])
def test_a_truncated_stream_gives_what_came(stream: Path, cut: int) -> None:
    found = units(run(stream.read_bytes()[:-cut]))
    assert 100 < len(found) <= 120
    assert not any(u.damaged for u in found[:-1])


def test_losing_packets_damages_up_to_the_next_keyframe(stream: Path) -> None:
    data = stream.read_bytes()
    at = len(data) // 2 // 188 * 188
    found = units(run(data[:at] + data[at + 1316 :]))
    damaged = [i for i, u in enumerate(found) if u.damaged]
    assert damaged == list(range(damaged[0], damaged[-1] + 1))
    assert found[damaged[-1] + 1].keyframe
    assert len(damaged) <= 30


def test_mpeg2_video_is_refused_with_the_fix(media: Path) -> None:
    events = run(make_ts(media / "mpeg2.ts", MPEG2_VIDEO).read_bytes())
    warnings = {e.code: e.message for e in events if isinstance(e, IngestWarning)}
    assert warnings["video-codec"] == "The video is MPEG-2 video: send H.264."
    assert units(events) == []
    assert len(units(events, "audio")) > 180


def test_no_transport_stream_at_all_gives_nothing() -> None:
    assert run(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n" * 1000) == []


def test_mid_pes_stuffing_loses_no_frame(media: Path) -> None:
    """A muxer that stuffs every second packet: legal, and the end of early emission."""
    source = make_ts(media / "avc_aac.ts", AVC_AAC)
    plain = units(run(source.read_bytes()))
    mux = build.Muxer()
    data = mux.tables(None, build.pmt(((build.H264, build.VIDEO_PID, b""),)))
    for unit in plain:
        pes = build.pes(build.AUD + unit.data, unit.pts)
        data += mux.pes(build.VIDEO_PID, pes, stuff_at=1)
    found = units(run(data))
    assert [(u.pts, u.data) for u in found] == [(u.pts, u.data) for u in plain]
    assert not any(u.damaged for u in found)
