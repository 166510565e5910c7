"""RTP payloads to access units: RFC 6184, losses, formats, capture times."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from hotpath.fanout.packetize import H264Packetizer
from hotpath.ingest.depacketize import MAX_NALS, OpusDepacketizer, VideoDepacketizer
from hotpath.ingest.jitter import Arrival
from hotpath.ingest.rtp_clock import TrackClock
from hotpath.media.unit import AUDIO, VIDEO, Codec, Unit
from hotpath.webrtc.rtp import RtpPacket, build_extension, ntp_of
from tests.support.coded import coded, decoded

SOURCE = coded("h264", None, seconds=2)
UNITS = SOURCE.track(VIDEO)
PACKETIZER = H264Packetizer(SOURCE.format(VIDEO))
FRAMES = [PACKETIZER.payloads(unit) for unit in UNITS]
SPS, PPS = (nal for nal in PACKETIZER._config)
START = b"\0\0\0\1"
MS = 1_000_000


def video(capture_time_id: int = 0) -> VideoDepacketizer:
    return VideoDepacketizer(TrackClock(90_000), capture_time_id=capture_time_id)


def arrival(payload: bytes, frame: int, *, marker: bool = False, extension: bytes = b"") -> Arrival:
    profile = 0xBEDE if extension else 0
    packet = RtpPacket(96, marker, 0, frame * 3000, 1, payload, profile, extension)
    return Arrival(packet, 0, 1000 + frame, frame * 100 * MS // 3)


def fed(
    depacketizer: VideoDepacketizer, frames: Sequence[Sequence[bytes]], first: int = 0
) -> list[Unit]:
    units: list[Unit] = []
    for number, payloads in enumerate(frames, first):
        for at, payload in enumerate(payloads):
            last = at == len(payloads) - 1
            units += depacketizer.receive(arrival(payload, number, marker=last), 7)
    return units


def test_a_real_stream_comes_back_with_its_format() -> None:
    depacketizer = video()
    units = fed(depacketizer, FRAMES)
    assert [unit.keyframe for unit in units] == [unit.keyframe for unit in UNITS]
    assert [b.pts - a.pts for a, b in pairwise(units)] == [3000] * 59
    assert not any(unit.damaged for unit in units)
    assert (units[5].ingest_ns, units[5].demuxed_ns, units[5].dts) == (1005, 7, units[5].pts)
    stream = b"".join(unit.data for unit in units)
    assert decoded(stream, "h264") == decoded(SOURCE.elementary[VIDEO], "h264")
    format = depacketizer.format
    assert format is not None
    assert (format.track, format.codec, format.timescale) == (VIDEO, Codec.H264, 90_000)
    assert (format.width, format.height, format.frame_duration) == (320, 180, 3000)
    assert format.config == START + SPS + START + PPS
    assert format.codecs == f"avc1.{SPS[1:4].hex()}"


def test_the_independent_depacketizer_sees_the_same_bytes() -> None:
    for unit, payloads in zip(fed(video(), FRAMES), FRAMES, strict=True):
        assert unit.data == b"".join(H264PayloadDescriptor.parse(p)[1] for p in payloads)


def test_several_slices_are_one_unit() -> None:
    idr = b"\x65" + bytes(range(128, 250)) * 30
    frame = [SPS, PPS, *PACKETIZER.payloads(Unit(VIDEO, 0, 0, False, START + idr * 1, 0, 0))]
    frame += [b"\x65\x10" + b"s" * 99]
    depacketizer = video()
    units = fed(depacketizer, [frame, [b"\x41\xa0abc"]])
    assert units[0].data == b"".join(START + n for n in (SPS, PPS, idr, b"\x65\x10" + b"s" * 99))


def test_rfc6184_5_1_a_unit_ends_at_its_marker() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:3])
    assert depacketizer.receive(arrival(FRAMES[3][0], 3), 7) == []
    *_, last = FRAMES[3]
    assert len(depacketizer.receive(arrival(last, 3, marker=True), 7)) == 1


def test_a_unit_without_marker_ends_at_the_next_timestamp() -> None:
    depacketizer = video()
    units = []
    for number, payloads in enumerate(FRAMES[:6]):
        for payload in payloads:
            units += depacketizer.receive(arrival(payload, number), 7)
    assert len(units) == 5
    assert not any(unit.damaged for unit in units)
    assert len(depacketizer.flush(7)) == 1


def test_markers_that_lie_are_not_believed_again() -> None:
    depacketizer = video()
    units: list[Unit] = []
    for number, payloads in enumerate(FRAMES[:32]):
        for payload in payloads:
            units += depacketizer.receive(arrival(payload, number, marker=True), 7)
    assert units[-1].data == b"".join(START + n for n in _nals(UNITS[30].data))
    assert units[-1].keyframe == UNITS[30].keyframe
    assert not units[-1].damaged


def _nals(data: bytes) -> list[bytes]:
    return [n.rstrip(b"\0") for n in data.split(b"\0\0\1") if n.rstrip(b"\0") and n[0] & 31 != 9]


def test_after_a_loss_units_are_damaged_up_to_the_next_keyframe() -> None:
    depacketizer = video()
    units = fed(depacketizer, FRAMES[:3])
    depacketizer.lost()
    units += fed(depacketizer, FRAMES[4:40], first=4)
    key = next(n for n in range(4, 40) if UNITS[n].keyframe)
    assert [u.damaged for u in units] == [False] * 3 + [True] * (key - 4) + [False] * (40 - key)
    assert depacketizer.facts.damaged == key - 4


@pytest.mark.parametrize("missing", range(len(FRAMES[30])))
def test_a_keyframe_that_lacks_a_packet_is_damaged(missing: int) -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:30])
    units: list[Unit] = []
    for at, payload in enumerate(FRAMES[30]):
        if at == missing:
            depacketizer.lost()
            continue
        last = at == len(FRAMES[30]) - 1
        units += depacketizer.receive(arrival(payload, 30, marker=last), 7)
    units += fed(depacketizer, FRAMES[31:40], first=31)
    assert units
    assert all(unit.damaged for unit in units)


def test_a_keyframe_behind_a_gap_is_whole_when_its_first_packet_came() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:20])
    depacketizer.lost()
    (unit,) = fed(depacketizer, [FRAMES[30]], first=30)
    assert not unit.damaged


def test_without_sets_in_band_the_first_slice_begins_a_unit() -> None:
    depacketizer = video()
    fed(depacketizer, [[SPS, PPS], [b"\x65\xb8first"], [b"\x41\xe0a"], [b"\x41\xe0b"]])
    depacketizer.lost()
    (whole,) = fed(depacketizer, [[b"\x65\xb8again"]], first=9)
    depacketizer.lost()
    (headless,) = fed(depacketizer, [[b"\x65\x10again"]], first=10)
    assert (whole.keyframe, whole.damaged) == (True, False)
    assert headless.damaged


@pytest.mark.parametrize(
    "payload",
    [
        b"\x7c\x05rest",  # FU-A whose start is missing
        b"\x7c\x85",  # too short
        b"\x78\0\x09short",  # STAP-A beyond its end
        b"\x78\0\x02\x0cb\0",  # STAP-A with a byte too many
        b"\x79\0\0\0\x02ab",  # STAP-B
        b"\x7a0123456789",  # MTAP16
        b"\x1d\x85ab",  # FU-B
        b"\x00",
        b"\x1f\xff",
    ],
)
def test_payloads_that_cannot_be_used_damage_their_unit(payload: bytes) -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:3])
    (unit,) = fed(depacketizer, [[payload, *FRAMES[3]]], first=3)
    assert unit.damaged
    assert unit.data == fed(video(), FRAMES[:4])[3].data


def test_a_fragment_that_is_not_finished_damages_its_unit() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:3])
    (unit,) = fed(depacketizer, [[b"\x5c\x81begin", *FRAMES[3]]], first=3)
    assert unit.damaged


def test_padding_with_an_old_timestamp_is_nothing() -> None:
    depacketizer = video()
    units = fed(depacketizer, FRAMES[:3])
    assert depacketizer.receive(arrival(b"", 2), 7) == []
    units += fed(depacketizer, FRAMES[3:6], first=3)
    assert len(units) == 6
    assert not any(unit.damaged for unit in units)


def test_a_new_resolution_is_a_new_format_before_its_first_unit() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:5])
    other = coded("h264-b", None, seconds=1)
    before = depacketizer.format
    fed(depacketizer, [H264Packetizer(other.format(VIDEO)).payloads(other.track(VIDEO)[0])], 5)
    assert depacketizer.format != before


def test_pictures_out_of_order_keep_rising_decode_times() -> None:
    depacketizer = video()
    units: list[Unit] = []
    for number, payloads in zip((0, 1, 4, 2, 3, 5), FRAMES, strict=False):
        units += fed(depacketizer, [payloads], first=number)
    decode = [unit.dts for unit in units]
    assert decode == sorted(set(decode))
    assert depacketizer.facts.b_frames


def test_abs_capture_time_is_counted_on_between_packets_that_carry_it() -> None:
    depacketizer = video(capture_time_id=3)
    base = 1_790_000_000_000_000_000
    offset = (-5 << 32).to_bytes(8, "big", signed=True)  # the sender's clock is 5 s behind
    _, extension = build_extension([(3, ntp_of(base).to_bytes(8, "big") + offset)])
    units = fed(depacketizer, FRAMES[:2])
    for at, payload in enumerate(FRAMES[2]):
        last = at == len(FRAMES[2]) - 1
        made = arrival(payload, 2, marker=last, extension=extension if not at else b"")
        units += depacketizer.receive(made, 7)
    units += fed(depacketizer, FRAMES[3:5], first=3)
    units += fed(depacketizer, FRAMES[5:6], first=300)
    captured = [unit.capture_ns for unit in units]
    assert captured[:2] == [None, None]
    expected = [base - 5_000_000_000 + n * 100 * MS // 3 for n in range(3)]
    assert all(abs((c or 0) - e) < 10 for c, e in zip(captured[2:5], expected, strict=True))
    assert captured[5] is None


def test_rfc7587_4_2_opus_packets_are_units() -> None:
    depacketizer = OpusDepacketizer(TrackClock(48_000))
    units: list[Unit] = []
    for number in range(3):
        packet = RtpPacket(111, False, number, 960 * number, 2, b"\x78abc")
        units += depacketizer.receive(Arrival(packet, number, 5, number * 20 * MS), 6)
    assert [unit.pts for unit in units] == [0, 1800, 3600]
    assert units[1] == Unit(AUDIO, 1800, 1800, True, b"\x78abc", 5, 6)
    format = depacketizer.format
    assert format is not None
    assert (format.track, format.codec, format.timescale) == (AUDIO, Codec.OPUS, 48_000)
    assert (format.channels, format.frame_duration) == (2, 960)
    assert format.config[:10] == b"OpusHead\1\2"
    bad = RtpPacket(111, False, 3, 2880, 2, b"\x03")
    assert depacketizer.receive(Arrival(bad, 3, 5, 60 * MS), 6) == []
    assert depacketizer.facts.dropped == 1


payloads = (
    st.binary(max_size=60)
    | st.sampled_from([p for f in FRAMES[:3] for p in f])
    | st.builds(
        lambda head, rest: bytes((head,)) + rest,
        st.sampled_from([24, 28, 5, 7, 8, 9]),
        st.binary(max_size=40),
    )
)


@given(
    st.lists(st.tuples(payloads, st.integers(0, 3), st.booleans(), st.integers(0, 9)), max_size=40)
)
def test_any_payloads_are_units_that_the_format_describes(
    steps: list[tuple[bytes, int, bool, int]],
) -> None:
    depacketizer, sound = video(3), OpusDepacketizer(TrackClock(48_000), capture_time_id=3)
    frame, last_dts = 0, -1
    for payload, ahead, marker, luck in steps:
        frame += ahead
        if luck == 0:
            depacketizer.lost()
        made = arrival(payload, frame, marker=marker, extension=payload[:12] if luck == 1 else b"")
        units = depacketizer.receive(made, 7)
        assert not units or depacketizer.format is not None
        for unit in units:
            assert unit.data.startswith((START, START[1:]))
            assert unit.dts > last_dts
            last_dts = unit.dts
        assert all(unit.data == payload for unit in sound.receive(made, 7))
    depacketizer.flush(7)


def test_a_unit_that_never_ends_is_bounded() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:3])
    big = b"\x41" + bytes(range(1, 200)) * 300
    for _ in range(200):
        depacketizer.receive(arrival(big, 3), 7)
    (unit,) = depacketizer.receive(arrival(b"\x41\xe0x", 3, marker=True), 7)
    assert unit.damaged
    assert len(unit.data) <= 8 * 1024 * 1024 + 1000
    assert replace(unit, data=b"").keyframe is False


def test_a_unit_of_crumbs_is_bounded() -> None:
    depacketizer = video()
    fed(depacketizer, FRAMES[:3])
    crumbs = bytes((24,)) + b"\0\1\x41" * 400
    for _ in range(50):
        depacketizer.receive(arrival(crumbs, 3), 7)
    (unit,) = depacketizer.receive(arrival(b"\x41\xe0x", 3, marker=True), 7)
    assert unit.damaged
    assert unit.data.count(START) <= MAX_NALS
