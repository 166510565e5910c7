"""Bytes to events: formats before units, words for what cannot be carried."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.ingest.session import (
    FormatsChanged,
    IngestEvent,
    IngestWarning,
    NeedsFallback,
    TsIngest,
    UnitsReady,
)
from hotpath.media.unit import Unit
from tests.support import ts as build
from tests.support.ts import AUDIO_PID, VIDEO_PID, Muxer


def run(data: bytes, chunk: int = 0) -> list[IngestEvent]:
    session = TsIngest()
    events: list[IngestEvent] = []
    step = chunk or len(data) or 1
    for at in range(0, len(data), step):
        session.receive(data[at : at + step], 1)
        events += session.poll(2)
    session.flush()
    return events + session.poll(2)


def units(events: list[IngestEvent]) -> list[Unit]:
    return [u for e in events if isinstance(e, UnitsReady) for u in e.units]


def warnings(events: list[IngestEvent]) -> dict[str, str]:
    return {e.code: e.message for e in events if isinstance(e, IngestWarning)}


def audio_pes(pts: int, frames: int = 2) -> bytes:
    return build.pes(build.adts([b"a" * 60] * frames), pts, stream_id=0xC0, bounded=True)


def test_formats_come_before_the_units_that_need_them() -> None:
    mux = Muxer()
    data = mux.tables() + mux.frames(2) + mux.pes(AUDIO_PID, audio_pes(90_000))
    data += mux.frames(1, first=2)
    known: set[str] = set()
    for event in run(data, 188):
        if isinstance(event, FormatsChanged):
            known = {f.track for f in event.formats}
        elif isinstance(event, UnitsReady):
            assert {u.track for u in event.units} <= known
    assert known == {"video", "audio"}


def test_the_last_unit_comes_with_the_flush() -> None:
    mux = Muxer()
    assert len(units(run(mux.tables() + mux.frames(5)))) == 5


def test_receive_time_is_that_of_the_units_own_last_byte() -> None:
    mux = Muxer()
    session = TsIngest()
    session.receive(mux.tables() + mux.frames(1), 100)
    assert session.poll(110) == []
    session.receive(mux.frames(1, first=1), 200)
    (unit,) = units(session.poll(210))
    assert (unit.ingest_ns, unit.demuxed_ns) == (100, 210)


def test_foreign_audio_asks_for_the_fallback_and_foreign_video_for_h264() -> None:
    mux = Muxer()
    streams = ((0x02, VIDEO_PID, b""), (build.MP2, AUDIO_PID, b""))
    events = run(mux.tables(None, build.pmt(streams)))
    assert NeedsFallback("MPEG-1 audio (MP2)") in events
    assert warnings(events)["video-codec"] == "The video is MPEG-2 video: send H.264."


def test_opus_is_known_by_its_registration() -> None:
    mux = Muxer()
    descriptors = b"\x05\x04Opus\x7f\x02\x80\x02"
    data = mux.tables(None, build.pmt(((build.PRIVATE, AUDIO_PID, descriptors),)))
    packet = b"\x7f\xe0\x04\xfcabc"
    data += mux.pes(AUDIO_PID, build.pes(packet * 2, 900, stream_id=0xBD, bounded=True))
    found = units(run(data))
    assert [(u.pts, u.data) for u in found] == [(900, b"\xfcabc"), (2700, b"\xfcabc")]


def test_only_the_first_of_each_kind_is_used_and_that_is_said() -> None:
    mux = Muxer()
    streams = (
        (build.H264, VIDEO_PID, b""),
        (build.AAC, AUDIO_PID, b""),
        (build.AAC, 0x102, b""),
    )
    data = mux.tables(None, build.pmt(streams))
    data += mux.pes(0x102, audio_pes(1)) + mux.pes(AUDIO_PID, audio_pes(5))
    events = run(data)
    assert {u.pts for u in units(events)} == {5, 1925}
    assert "extra-tracks" in warnings(events)


def test_a_second_programme_is_left_alone_and_that_is_said() -> None:
    mux = Muxer()
    table = build.pat(((1, build.PMT_PID), (2, 0x1100)))
    events = run(mux.tables(table) + mux.frames(2))
    assert "only the first" in warnings(events)["several-programs"]
    assert len(units(events)) == 2


def test_audio_that_goes_away_is_taken_out_of_the_formats() -> None:
    mux = Muxer()
    data = mux.tables() + mux.pes(AUDIO_PID, audio_pes(90_000)) + mux.frames(3)
    data += mux.section(build.PMT_PID, build.pmt(((build.H264, VIDEO_PID, b""),), version=1))
    data += mux.frames(3, first=3)
    events = run(data)
    announced = [e.formats for e in events if isinstance(e, FormatsChanged)]
    assert [f.track for f in announced[-1]] == ["video"]
    assert len([u for u in units(events) if u.track == "video"]) == 6


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=30),
    st.integers(1, 4000),
)
def test_any_bytes_in_any_chunking_give_the_same_units(
    hits: list[tuple[int, int]], chunk: int
) -> None:
    mux = Muxer()
    data = bytearray(mux.tables())
    for index in range(12):
        data += mux.frames(1, first=index, gop=4)
        data += mux.pes(AUDIO_PID, audio_pes(90_000 + 3840 * index))
    for at, value in hits:
        data[at % len(data)] = value
    assert units(run(bytes(data), chunk)) == units(run(bytes(data)))


@settings(deadline=None)
@given(st.binary(max_size=5000))
def test_noise_gives_no_units_and_no_exception(data: bytes) -> None:
    assert units(run(data)) == []
