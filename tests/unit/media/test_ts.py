"""ISO/IEC 13818-1: what the demultiplexer makes of whole, broken and hostile streams."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.pes import EVIDENCE, Pes, Torn
from hotpath.media.ts import MapChanged, TsDemuxer
from tests.support import ts as build
from tests.support.ts import AUDIO_PID, VIDEO_PID, Muxer


def demux(data: bytes, *, chunk: int = 0, flush: bool = True) -> list[object]:
    demuxer = TsDemuxer()
    events: list[object] = []
    for at in range(0, len(data), chunk or len(data) or 1):
        demuxer.receive(data[at : at + (chunk or len(data))], 1)
        events += demuxer.poll()
    if flush:
        demuxer.flush()
    return events + demuxer.poll()


def video(events: list[object]) -> list[Pes]:
    return [e for e in events if isinstance(e, Pes) and e.pid == VIDEO_PID]


def payload_of(index: int) -> bytes:
    return build.idr(1000) if index % 30 == 0 else build.p_frame(300 + index % 50, index % 200)


def test_pes_come_out_as_they_went_in() -> None:
    mux = Muxer()
    events = demux(mux.tables() + mux.frames(10))
    assert isinstance(events[0], MapChanged)
    found = video(events)
    assert [p.pts for p in found] == [90_000 + 3000 * i for i in range(10)]
    assert [p.data.rstrip(b"\0") for p in found] == [payload_of(i) for i in range(10)]
    assert not any(p.damaged for p in found)


def test_pts_and_dts_are_told_apart() -> None:
    mux = Muxer()
    data = mux.tables() + mux.pes(VIDEO_PID, build.pes(build.idr(), 2**33 - 1, 2**33 - 3001))
    (only,) = video(demux(data))
    assert (only.pts, only.dts) == (2**33 - 1, 2**33 - 3001)


def test_program_zero_of_the_pat_is_the_network_and_not_a_program() -> None:
    mux = Muxer()
    table = build.pat(((0, 0x10), (1, build.PMT_PID)))
    assert len(video(demux(mux.tables(table) + mux.frames(3)))) == 3


def test_a_pmt_with_a_wrong_crc_is_not_believed() -> None:
    mux = Muxer()
    broken = bytearray(build.pmt())
    broken[-1] ^= 1
    assert demux(mux.tables(None, bytes(broken)) + mux.frames(2)) == []


def test_a_pmt_may_span_packets() -> None:
    mux = Muxer()
    wide = b"\x0a\xf0" + bytes(240)  # a descriptor longer than a packet
    table = build.pmt(((build.H264, VIDEO_PID, wide), (build.AAC, AUDIO_PID, b"")))
    assert len(table) > 184
    assert len(video(demux(mux.tables(None, table) + mux.frames(2)))) == 2


def test_a_new_pmt_version_moves_the_video_to_its_new_pid() -> None:
    mux = Muxer()
    data = mux.tables() + mux.frames(2)
    moved = build.pmt(((build.H264, 0x200, b""),), version=1)
    data += mux.section(build.PMT_PID, moved)
    data += mux.pes(0x200, build.pes(build.idr(), 270_000))
    events = demux(data)
    kinds = [(type(e).__name__, getattr(e, "pid", None)) for e in events]
    assert kinds == [
        ("MapChanged", None),
        ("Pes", VIDEO_PID),
        ("Pes", VIDEO_PID),
        ("MapChanged", None),
        ("Pes", 0x200),
    ]


def test_audio_of_stated_length_leaves_with_its_last_byte() -> None:
    mux = Muxer()
    body = bytes(range(1, 200)) * 3
    data = mux.tables() + mux.pes(AUDIO_PID, build.pes(body, 5, stream_id=0xC0, bounded=True))
    found = [e for e in demux(data, flush=False) if isinstance(e, Pes)]
    assert [(p.data, p.damaged) for p in found] == [(body, False)]


def test_pes_of_equal_pts_are_one_picture() -> None:
    mux = Muxer()
    data = mux.tables()
    for pts in (3000, 6000):
        data += mux.pes(VIDEO_PID, build.pes(build.idr(100), pts))
        data += mux.pes(VIDEO_PID, build.pes(b"\0\0\x01\x65second field", pts))
    found = video(demux(data))
    assert [(p.pts, p.data) for p in found] == [
        (pts, build.idr(100) + b"\0\0\x01\x65second field") for pts in (3000, 6000)
    ]


def test_pes_without_pts_continue_the_picture_before() -> None:
    mux = Muxer()
    data = mux.tables() + mux.pes(VIDEO_PID, build.pes(build.idr(100), 3000))
    data += mux.pes(VIDEO_PID, build.pes(b"\0\0\x01\x65more", None))
    (only,) = video(demux(data))
    assert only.data == build.idr(100) + b"\0\0\x01\x65more"


class TestContinuity:
    def test_a_missing_packet_marks_its_pes_damaged_and_says_torn(self) -> None:
        mux = Muxer()
        head = mux.tables()
        frames = [mux.frames(1, first=i) for i in range(4)]
        frames[0] = frames[0][:188] + frames[0][376:]  # the keyframe loses its second packet
        events = demux(head + b"".join(frames))
        assert [type(e) for e in events[1:3]] == [Torn, Pes]
        assert [p.damaged for p in video(events)] == [True, False, False, False]

    def test_a_duplicate_packet_is_dropped(self) -> None:
        mux = Muxer()
        data = mux.tables() + mux.frames(3)
        doubled = b"".join(data[at : at + 188] * 2 for at in range(0, len(data), 188))
        assert demux(doubled) == demux(data)

    def test_sixteen_lost_packets_are_no_duplicate(self) -> None:
        mux = Muxer()
        head = mux.tables()
        body = mux.pes(VIDEO_PID, build.pes(build.idr(184 * 30), 3000))
        events = demux(head + body[: 188 * 3] + body[188 * 18 :])
        assert [p.damaged for p in video(events)] == [True]

    def test_scrambled_packets_are_counted_and_not_read(self) -> None:
        mux = Muxer()
        demuxer = TsDemuxer()
        scrambled = build.packet(VIDEO_PID, 0, bytes(184), start=True, scrambled=True)
        demuxer.receive(mux.tables() + scrambled, 1)
        assert demuxer.counters.scrambled == 1
        assert [type(e) for e in demuxer.poll()] == [MapChanged]


class TestSync:
    def test_garbage_between_packets_is_skipped(self) -> None:
        mux = Muxer()
        parts = [mux.tables(), *(mux.frames(1, first=i) for i in range(5))]
        noise = bytes(b for b in random.Random(1).randbytes(999) if b != 0x47)
        events = demux(noise + noise.join(parts))
        assert [p.data.rstrip(b"\0") for p in video(events)] == [payload_of(i) for i in range(5)]

    def test_a_false_sync_byte_is_not_followed(self) -> None:
        mux = Muxer()
        data = b"\x47 not a packet" + mux.tables() + mux.frames(3)
        assert len(video(demux(data))) == 3

    def test_a_stream_cut_in_a_packet_gives_what_was_whole(self) -> None:
        mux = Muxer()
        data = mux.tables() + mux.frames(3)
        found = video(demux(data[:-100]))
        assert [p.damaged for p in found] == [False, False, True]


class TestEarlyEmission:
    """Leaving on stuffing is earned, and lost for good by one contradiction."""

    def test_a_new_stream_waits_for_the_next_pes(self) -> None:
        mux = Muxer()
        assert len(video(demux(mux.tables() + mux.frames(10), flush=False))) == 9

    def test_after_the_evidence_a_pes_leaves_with_its_last_packet(self) -> None:
        mux = Muxer()
        demuxer = TsDemuxer()
        demuxer.receive(mux.tables() + mux.frames(EVIDENCE), 1)
        demuxer.poll()
        assert demuxer.early_states() == {VIDEO_PID: "learning"}
        demuxer.receive(mux.frames(1, first=EVIDENCE), 1)
        demuxer.poll()
        demuxer.receive(mux.frames(1, first=EVIDENCE + 1), 1)
        found = video(demuxer.poll())
        assert demuxer.early_states() == {VIDEO_PID: "earned"}
        assert [p.pts for p in found] == [90_000 + 3000 * (EVIDENCE + 1)]

    def test_stuffing_in_the_middle_loses_nothing_and_never_earns(self) -> None:
        mux = Muxer()
        demuxer = TsDemuxer()
        data = mux.tables()
        units = [build.idr(900) if i % 30 == 0 else build.p_frame(700, i) for i in range(150)]
        for index, unit in enumerate(units):
            data += mux.pes(VIDEO_PID, build.pes(unit, 3000 * index), stuff_at=1)
        demuxer.receive(data, 1)
        demuxer.flush()
        found = video(demuxer.poll())
        assert [p.data for p in found] == units
        assert not any(p.damaged for p in found)
        assert demuxer.early_states() == {VIDEO_PID: "refused"}

    @pytest.mark.parametrize("equal_pts", [False, True])
    def test_a_contradiction_tears_once_and_then_the_safe_way_holds(self, equal_pts: bool) -> None:
        mux = Muxer()
        demuxer = TsDemuxer()
        demuxer.receive(mux.tables() + mux.frames(EVIDENCE + 2), 1)
        demuxer.poll()
        assert demuxer.early_states() == {VIDEO_PID: "earned"}
        at = 90_000 + 3000 * (EVIDENCE + 2)
        if equal_pts:
            data = mux.pes(VIDEO_PID, build.pes(build.p_frame(300), at))
            data += mux.pes(VIDEO_PID, build.pes(build.p_frame(300), at))
        else:
            data = mux.pes(VIDEO_PID, build.pes(build.p_frame(700), at), stuff_at=1)
        data += mux.pes(VIDEO_PID, build.pes(build.idr(800), at + 3000), stuff_at=2)
        data += mux.pes(VIDEO_PID, build.pes(build.p_frame(700), at + 6000), stuff_at=1)
        demuxer.receive(data, 1)
        demuxer.flush()
        events = demuxer.poll()
        assert [type(e) for e in events] == [Pes, Torn, Pes, Pes]
        assert [p.data for p in video(events)[1:]] == [build.idr(800), build.p_frame(700)]
        assert demuxer.early_states() == {VIDEO_PID: "refused"}

    def test_loss_after_an_early_unit_is_no_contradiction(self) -> None:
        mux = Muxer()
        demuxer = TsDemuxer()
        demuxer.receive(mux.tables() + mux.frames(EVIDENCE + 2), 1)
        demuxer.poll()
        lost_start = mux.frames(1, first=EVIDENCE + 2)[188:]
        demuxer.receive(lost_start + mux.frames(1, first=EVIDENCE + 3), 1)
        events = demuxer.poll()
        assert [type(e) for e in events] == [Torn, Pes]
        assert demuxer.early_states() == {VIDEO_PID: "earned"}


def test_memory_is_bounded_by_one_pes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotpath.media.pes.MAX_PES", 10_000)
    mux = Muxer()
    demuxer = TsDemuxer()
    demuxer.receive(mux.tables() + mux.frames(1), 1)
    for _ in range(2000):
        demuxer.receive(mux.put(VIDEO_PID, bytes(184)), 1)
    assert demuxer.counters.pes.oversize == 1
    demuxer.poll()
    demuxer.receive(mux.frames(2, first=30), 1)
    demuxer.flush()
    assert [p.data.rstrip(b"\0") for p in video(demuxer.poll())] == [payload_of(30), payload_of(31)]


def _mangled() -> st.SearchStrategy[bytes]:
    """A valid stream with random bytes overwritten, cut out and put in."""

    @st.composite
    def strategy(draw: st.DrawFn) -> bytes:
        mux = Muxer()
        data = bytearray(mux.tables() + mux.frames(6, gop=3))
        for _ in range(draw(st.integers(0, 12))):
            at = draw(st.integers(0, len(data) - 1))
            kind = draw(st.sampled_from(("set", "cut", "insert")))
            if kind == "set":
                data[at] = draw(st.integers(0, 255))
            elif kind == "cut":
                del data[at : at + draw(st.integers(1, 400))]
                data += b"\0"
            else:
                data[at:at] = draw(st.binary(max_size=300))
        return bytes(data)

    return strategy()


@settings(max_examples=200, deadline=None)
@given(_mangled() | st.binary(max_size=2000), st.integers(1, 600))
def test_any_bytes_in_any_chunking_give_the_same_events(data: bytes, chunk: int) -> None:
    assert demux(data, chunk=chunk) == demux(data)
