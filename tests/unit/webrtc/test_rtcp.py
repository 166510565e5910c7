"""RTCP in and out; aiortc is the independent witness."""

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc import rtcp
from hotpath.webrtc.rtp import ntp_of

INFO = RtcpReceiverInfo(
    ssrc=2, fraction_lost=7, packets_lost=-3, highest_sequence=65540, jitter=9, lsr=10, dlsr=11
)
REPORT = rtcp.ReceptionReport(1, 2, 7, -3, 65540, 9, 10, 11)


def test_rfc3550_6_4_1_sender_report() -> None:
    sender = RtcpSenderInfo(ntp_timestamp=5, rtp_timestamp=6, packet_count=7, octet_count=8)
    data = bytes(RtcpSrPacket(ssrc=1, sender_info=sender, reports=[INFO]))
    assert rtcp.parse_rtcp(data) == [rtcp.SenderReport(1, 5, 6, 7, 8), REPORT]


def test_rfc3550_6_4_2_receiver_report() -> None:
    data = bytes(RtcpRrPacket(ssrc=1, reports=[INFO, INFO]))
    assert rtcp.parse_rtcp(data) == [REPORT, REPORT]


def test_rfc3550_6_6_bye() -> None:
    assert rtcp.parse_rtcp(bytes(RtcpByePacket(sources=[3, 4]))) == [rtcp.Bye((3, 4))]


def test_rfc4585_6_2_1_generic_nack() -> None:
    lost = [65518, 65519, 65534, 65535]
    data = bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=lost))
    assert rtcp.parse_rtcp(data) == [rtcp.Nack(2, tuple(lost))]


def test_rfc4585_6_3_1_pli_and_remb_in_one_compound_packet() -> None:
    pli = bytes(RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=2))
    remb = bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(2_500_000, [2, 3])))
    sdes = bytes(RtcpSdesPacket(chunks=[]))
    assert rtcp.parse_rtcp(pli + sdes + remb) == [rtcp.Pli(2), rtcp.Remb(2_500_000, (2, 3))]


def test_rfc5104_4_3_1_fir_names_its_ssrc_in_the_entry() -> None:
    data = rtcp.build_fir(1, 2, 77)
    assert rtcp.parse_rtcp(data) == [rtcp.Fir(2, 77)]


def test_rfc3550_6_4_1_round_trip() -> None:
    sent, delay_ns, trip_ns = 1_790_000_000_000_000_000, 250_000_000, 40_000_000
    last_sr = ntp_of(sent) >> 16 & 0xFFFFFFFF
    report = rtcp.ReceptionReport(1, 2, 0, 0, 0, 0, last_sr, 65536 // 4)
    measured = rtcp.round_trip_ns(report, ntp_of(sent + delay_ns + trip_ns))
    assert measured is not None
    assert abs(measured - trip_ns) < 100_000
    assert rtcp.round_trip_ns(report, ntp_of(sent)) is None
    assert rtcp.round_trip_ns(REPORT.__class__(1, 2, 0, 0, 0, 0, 0, 0), ntp_of(sent)) is None


def test_what_is_built_is_read_by_the_witness() -> None:
    compound = (
        rtcp.build_receiver_report(1, [REPORT], "name")
        + rtcp.build_nack(1, 2, [3, 19, 20, 40, 40, 41])
        + rtcp.build_pli(1, 2)
        + rtcp.build_remb(1, 3_000_001, [2])
        + rtcp.build_bye([1])
    )
    receiver, sdes, nack, pli, remb, bye = RtcpPacket.parse(compound)
    assert isinstance(receiver, RtcpRrPacket)
    assert receiver.reports == [INFO]
    assert isinstance(sdes, RtcpSdesPacket)
    assert sdes.chunks[0].items == [(1, b"name")]
    assert isinstance(nack, RtcpRtpfbPacket)
    assert nack.lost == [3, 19, 20, 40, 41]
    assert isinstance(pli, RtcpPsfbPacket)
    assert (pli.fmt, pli.media_ssrc) == (1, 2)
    assert isinstance(remb, RtcpPsfbPacket)
    assert unpack_remb_fci(remb.fci) == (3_000_000, [2])
    assert isinstance(bye, RtcpByePacket)


def test_a_sender_report_comes_back() -> None:
    report = rtcp.SenderReport(1, 1 << 63, 1 << 31, 3, 4)
    assert rtcp.parse_rtcp(rtcp.build_sender_report(report, "n")) == [report]


def test_unknown_packets_are_skipped() -> None:
    extended_report = b"\x80\xcf\0\1\0\0\0\1"
    assert rtcp.parse_rtcp(extended_report + rtcp.build_pli(1, 2)) == [rtcp.Pli(2)]


@pytest.mark.parametrize("data", [b"", b"\x80\xc9\0", b"\0\xc9\0\0", b"\x80\xc9\0\1", b"\x80" * 5])
def test_what_is_no_rtcp(data: bytes) -> None:
    with pytest.raises(rtcp.RtcpError):
        rtcp.parse_rtcp(data)


def test_a_nack_for_everything_is_bounded() -> None:
    (event,) = rtcp.parse_rtcp(
        b"\x81\xcd\x01\x6a"
        + bytes(8)
        + b"".join((n * 17).to_bytes(2, "big") + b"\xff\xff" for n in range(360))
    )
    assert isinstance(event, rtcp.Nack)
    assert len(event.sequences) == rtcp.MAX_NACKED


def test_a_flood_of_packets_is_bounded() -> None:
    assert len(rtcp.parse_rtcp(rtcp.build_pli(1, 2) * 2000)) == rtcp.MAX_EVENTS


@st.composite
def compounds(draw: st.DrawFn) -> bytes:
    packets = draw(
        st.lists(
            st.tuples(st.integers(0, 63), st.integers(199, 208), st.binary(max_size=60)), max_size=4
        )
    )
    made = b""
    for flags, kind, body in packets:
        words = -(-len(body) // 4)
        made += bytes((0x80 | flags, kind)) + words.to_bytes(2, "big") + body.ljust(4 * words)
    return made


@given(compounds() | st.binary(max_size=100))
def test_any_bytes_are_events_or_refused(data: bytes) -> None:
    try:
        events = rtcp.parse_rtcp(data)
    except rtcp.RtcpError:
        return
    assert len(events) <= rtcp.MAX_EVENTS
    for event in events:
        if isinstance(event, rtcp.ReceptionReport):
            rtcp.round_trip_ns(event, ntp_of(1))


@given(st.integers(0, 65535), st.sets(st.integers(0, 400), min_size=1, max_size=200))
def test_nacks_come_back(first: int, ahead: set[int]) -> None:
    lost = tuple((first + n) & 0xFFFF for n in sorted(ahead))
    assert rtcp.parse_rtcp(rtcp.build_nack(1, 2, lost)) == [rtcp.Nack(2, lost)]
