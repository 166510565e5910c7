"""The stamped programme: what the latency figures rest on."""

from itertools import islice
from pathlib import Path

import pytest

from benchmarks.endless import Stream, bursts, read_time, write_time
from benchmarks.publisher import live_transmit_url
from benchmarks.stamped import Recipe, programme, stamp_of
from hotpath.ingest.session import TsIngest, UnitsReady
from hotpath.media.unit import Unit

SMALL = Recipe(size="320x180", kbps=300, seconds=8)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return programme(SMALL, tmp_path_factory.mktemp("media")).read_bytes()


def looped(stream: bytes, seconds: float) -> list[Unit]:
    """What an ingest makes of the programme sent for so long; the clock says 1, 2, 3 ... s."""
    ticks = iter(range(1, 1 << 30))
    session = TsIngest()
    units: list[Unit] = []
    for due, made in Stream(stream, lambda: next(ticks) * 1_000_000_000):
        if due > seconds:
            return units
        session.receive(made(), 1)
        units += [u for e in session.poll(1) if isinstance(e, UnitsReady) for u in e.units]
    raise AssertionError("the stream ended")


def test_every_frame_has_a_slot_in_its_first_packet(stream: bytes) -> None:
    assert sum(b.stamp is not None for b in bursts(stream)) == SMALL.seconds * SMALL.fps


def test_the_loop_has_no_seam_and_every_frame_its_own_stamp(stream: bytes) -> None:
    units = looped(stream, 2.5 * SMALL.seconds)
    video = [u for u in units if u.track == "video"]
    audio = [u for u in units if u.track == "audio"]
    assert {b.dts - a.dts for a, b in zip(video, islice(video, 1, None), strict=False)} == {3000}
    assert {b.dts - a.dts for a, b in zip(audio, islice(audio, 1, None), strict=False)} == {1920}
    stamps = [stamp_of(u.data) for u in video]
    assert stamps == [n * 1_000_000 for n in range(1, len(video) + 1)]
    assert [n for n, u in enumerate(video) if u.keyframe] == list(range(0, len(video), SMALL.gop))


@pytest.mark.parametrize("value", [0, 1, 90_000, (1 << 33) - 1, (1 << 33) + 5])
def test_times_are_written_as_they_are_read(value: int) -> None:
    data = bytearray(b"\x21\x00\x01\x00\x01")
    write_time(data, 0, value)
    assert read_time(data, 0) == value % (1 << 33)
    assert data[0] & 0x21 == 0x21
    assert data[2] & data[4] & 1


def test_bytes_without_a_whole_stamp_have_none() -> None:
    assert stamp_of(b"nothing") is None
    assert stamp_of(b"livepath-clock-1123") is None


def test_libsrts_own_tool_counts_latency_in_milliseconds() -> None:
    url = "srt://127.0.0.1:9?streamid=ev/k1.1.abc&passphrase=xy&latency=120000&pkt_size=1316"
    assert live_transmit_url(url) == (
        "srt://127.0.0.1:9?streamid=ev/k1.1.abc&passphrase=xy&latency=120"
    )


def test_the_cache_is_used(tmp_path: Path) -> None:
    path = tmp_path / SMALL.name
    path.write_bytes(b"there already")
    assert programme(SMALL, tmp_path).read_bytes() == b"there already"
