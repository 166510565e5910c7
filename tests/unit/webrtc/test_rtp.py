"""RTP headers and counters; aiortc is the independent witness."""

import pytest
from aiortc.rtp import RtpPacket as WitnessPacket
from aiortc.rtp import unpack_header_extensions
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc import rtp

PACKET = rtp.RtpPacket(96, True, 65535, 0xFFFFFFFF, 0x12345678, b"payload")


def test_rfc3550_5_1_the_fixed_header() -> None:
    witness = WitnessPacket.parse(rtp.build_rtp(PACKET))
    assert (witness.payload_type, witness.marker, witness.sequence_number) == (96, 1, 65535)
    assert (witness.timestamp, witness.ssrc, witness.payload) == PACKET[3:6]
    assert rtp.parse_rtp(rtp.build_rtp(PACKET)) == PACKET


def test_rfc3550_5_1_contributing_sources_and_padding_are_not_payload() -> None:
    witness = WitnessPacket(payload_type=96, sequence_number=1, timestamp=2, ssrc=3, payload=b"pp")
    witness.csrc = [7, 8]
    witness.padding_size = 9
    assert rtp.parse_rtp(witness.serialize()).payload == b"pp"


def test_a_packet_of_padding_alone_has_no_payload() -> None:
    head = rtp.build_rtp(PACKET._replace(payload=b""))
    assert rtp.parse_rtp(bytes((head[0] | 0x20,)) + head[1:] + b"\0\0\3").payload == b""


@pytest.mark.parametrize(
    "elements",
    [[(1, b"a"), (14, b"b" * 16)], [(1, b""), (200, b"c" * 40)], [(15, b"x")], [(3, b"d" * 17)]],
)
def test_rfc8285_4_one_and_two_byte_elements(elements: list[tuple[int, bytes]]) -> None:
    profile, body = rtp.build_extension(elements)
    assert unpack_header_extensions(profile, body) == elements
    packet = rtp.parse_rtp(
        rtp.build_rtp(PACKET._replace(extension_profile=profile, extension=body))
    )
    assert packet.payload == PACKET.payload
    for id, value in elements:
        assert rtp.extension_of(packet, id) == value
    assert rtp.extension_of(packet, 99) is None


def test_rfc8285_4_2_id_15_ends_the_elements() -> None:
    packet = PACKET._replace(extension_profile=0xBEDE, extension=b"\xf0a\x10b")
    assert rtp.extension_of(packet, 1) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes(12),
        b"\x8f" + bytes(20),
        b"\x90" + bytes(11),
        b"\x90" + bytes(13) + b"\0\5",
        b"\xa0" + bytes(11) + b"\x02",
        b"\xa0" + bytes(12),
    ],
)
def test_what_is_no_rtp_packet(data: bytes) -> None:
    with pytest.raises(rtp.RtpError):
        rtp.parse_rtp(data)


def test_counters_are_continuous_across_their_wrap_and_backwards() -> None:
    sequence = rtp.Unwrapper(16)
    assert [sequence.unwrap(v) for v in (65534, 65535, 1, 0, 65535)] == [
        65534,
        65535,
        65537,
        65536,
        65535,
    ]
    timestamp = rtp.Unwrapper(32)
    assert [timestamp.unwrap(v) for v in (5, 0xFFFFFFFF, 0x7FFFFFFF)] == [5, -1, -(1 << 31) - 1]


@given(st.lists(st.integers(-30_000, 30_000), max_size=50), st.integers(0, 65535))
def test_unwrapping_undoes_wrapping(steps: list[int], first: int) -> None:
    unwrapper = rtp.Unwrapper(16)
    value = first
    assert unwrapper.unwrap(value) == value
    for step in steps:
        value += step
        assert unwrapper.unwrap(value & 0xFFFF) == value


def test_ntp_keeps_a_unix_time_to_the_nanosecond() -> None:
    now = 1_790_000_000_123_456_789
    assert rtp.unix_ns_of(rtp.ntp_of(now)) == now
    assert rtp.ntp_of(0) >> 32 == 2_208_988_800


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: b"\x90" + b))
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    try:
        packet = rtp.parse_rtp(data)
    except rtp.RtpError:
        return
    for id in (0, 1, 14, 15, 255):
        rtp.extension_of(packet, id)
    assert len(packet.payload) <= len(data) - 12
