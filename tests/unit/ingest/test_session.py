"""Bytes to events: formats before units, words for what cannot be carried."""

import re

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


def said(code: str, audio_type: int = 0) -> bytes:
    """An ISO 639 language descriptor."""
    return b"\x0a\x04" + code.encode() + bytes((audio_type,))


def declared(*streams: tuple[int, int, bytes], version: int = 0) -> bytes:
    return build.pmt(((build.H264, VIDEO_PID, b""), *streams), version=version)


def announced(events: list[IngestEvent]) -> list[dict[str, str]]:
    """Language by track, each time the formats changed."""
    told = [e.formats for e in events if isinstance(e, FormatsChanged)]
    return [{f.track: f.language for f in formats if f.track != "video"} for formats in told]


def test_every_sound_is_a_track_and_says_its_language() -> None:
    mux = Muxer()
    streams = declared(
        (build.AAC, AUDIO_PID, said("eng")),
        (build.AAC, 0x102, said("ger")),
        (build.AAC, 0x103, b""),
        (build.AAC, 0x104, said("und")),
    )
    data = mux.tables(None, streams)
    for pid in (0x103, 0x102, AUDIO_PID, 0x104):
        data += mux.pes(pid, audio_pes(pid, 1))
    events = run(data)
    names = ("audio", "audio-2", "audio-3", "audio-4")
    assert {u.track: u.pts for u in units(events)} == {
        name: 0x101 + n for n, name in enumerate(names)
    }
    assert announced(events)[-1] == {
        "audio": "en", "audio-2": "de", "audio-3": "", "audio-4": ""
    }  # fmt: skip
    assert warnings(events) == {}


def test_what_is_more_than_can_be_carried_is_said() -> None:
    mux = Muxer()
    sounds = [(build.AAC, AUDIO_PID + n, b"") for n in range(5)]
    opus = (build.PRIVATE, 0x110, b"\x05\x04Opus")
    events = run(
        mux.tables(None, declared(*sounds, opus, (build.MP2, 0x111, b""), (build.H264, 0x112, b"")))
        + mux.pes(0x105, audio_pes(1))
        + mux.pes(0x110, audio_pes(1))
    )
    assert units(events) == []
    assert warnings(events) == {
        "extra-video": "1 more video track is left out: only the first is used.",
        "extra-audio": "1 more audio track is left out: 4 can be sent.",
        "unused-audio": "2 more audio tracks are left out (Opus, MPEG-1 audio (MP2)): send AAC.",
    }
    assert not any(isinstance(event, NeedsFallback) for event in events)


def test_only_the_first_sound_is_converted_and_that_is_said() -> None:
    mux = Muxer()
    events = run(mux.tables(None, declared((build.MP2, 0x101, b""), (0x81, 0x102, b""))))
    assert NeedsFallback("MPEG-1 audio (MP2)") in events
    assert warnings(events)["unused-audio"] == "1 more audio track is left out (AC-3): send AAC."


def test_opus_may_be_the_first_sound_and_no_other() -> None:
    mux = Muxer()
    opus = (build.PRIVATE, 0x101, b"\x05\x04Opus" + said("eng"))
    packet = build.pes(b"\x7f\xe0\x04\xfcabc", 900, stream_id=0xBD, bounded=True)
    data = mux.tables(None, declared(opus, (build.AAC, 0x102, said("deu"))))
    events = run(data + mux.pes(0x101, packet) + mux.pes(0x102, audio_pes(1)))
    assert announced(events)[-1] == {"audio": "en", "audio-2": "de"}
    mux = Muxer()
    data = mux.tables(None, declared((build.AAC, 0x102, b""), opus))
    assert "unused-audio" in warnings(run(data + mux.pes(0x101, packet)))


def test_a_sound_keeps_its_name_while_its_pid_is_there() -> None:
    mux = Muxer()
    one, two, three = ((build.AAC, 0x101 + n, said(c)) for n, c in enumerate(("eng", "deu", "fra")))
    data = mux.tables(None, declared(one, two, three))
    data += b"".join(mux.pes(pid, audio_pes(90_000)) for pid in (0x101, 0x102, 0x103))
    data += mux.section(build.PMT_PID, declared(three, one, version=1))
    data += b"".join(mux.pes(pid, audio_pes(95_000)) for pid in (0x101, 0x103))
    data += mux.section(build.PMT_PID, declared(three, two, one, version=2))
    data += b"".join(mux.pes(pid, audio_pes(99_000)) for pid in (0x101, 0x102, 0x103))
    told = announced(run(data))
    all_three = {"audio": "en", "audio-2": "de", "audio-3": "fr"}
    assert all_three in told
    assert told[-2:] == [{"audio": "en", "audio-3": "fr"}, all_three]


def test_commentary_for_those_who_do_not_see_is_told_apart() -> None:
    mux = Muxer()
    plain, commentary = (build.AAC, 0x101, said("eng")), (build.AAC, 0x102, said("eng", 3))
    data = mux.tables(None, declared(plain, commentary))
    data += mux.pes(0x101, audio_pes(1)) + mux.pes(0x102, audio_pes(1))
    (formats,) = [e.formats for e in run(data) if isinstance(e, FormatsChanged)][-1:]
    assert {f.track: f.describes_video for f in formats} == {"audio": False, "audio-2": True}


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=12)), max_size=4))
def test_any_descriptors_give_a_language_that_may_be_quoted(
    descriptors: list[tuple[int, bytes]],
) -> None:
    mux = Muxer()
    data = b"".join(bytes((tag, len(body))) + body for tag, body in descriptors)
    events = run(
        mux.tables(None, declared((build.AAC, AUDIO_PID, data)))
        + mux.pes(AUDIO_PID, audio_pes(90_000))
    )
    (told,) = announced(events)
    assert re.fullmatch("[a-z]{2,3}|", told["audio"])


def test_each_track_has_facts_of_its_own() -> None:
    mux = Muxer()
    session = TsIngest()
    streams = declared((build.AAC, 0x101, b""), (build.AAC, 0x102, b""))
    session.receive(mux.tables(None, streams) + mux.pes(0x101, audio_pes(1, 3)), 1)
    session.poll(1)
    facts = session.facts()
    assert facts.audio is not None
    assert (facts.audio.units, facts.further["audio-2"].units) == (3, 0)


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
    sounds = (build.AAC, AUDIO_PID, said("eng")), (build.AAC, 0x102, said("deu", 3))
    data = bytearray(mux.tables(None, declared(*sounds)))
    for index in range(12):
        data += mux.frames(1, first=index, gop=4)
        data += mux.pes(AUDIO_PID, audio_pes(90_000 + 3840 * index))
        data += mux.pes(0x102, audio_pes(90_000 + 3840 * index))
    for at, value in hits:
        data[at % len(data)] = value
    assert units(run(bytes(data), chunk)) == units(run(bytes(data)))


@settings(deadline=None)
@given(st.binary(max_size=5000))
def test_noise_gives_no_units_and_no_exception(data: bytes) -> None:
    assert units(run(data)) == []
