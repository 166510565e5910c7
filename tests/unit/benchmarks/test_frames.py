"""The receiver that says which frames a viewer could have shown."""

import struct

from benchmarks.frames import (
    GIVE_UP_NS,
    RETRY_NS,
    Frame,
    FrameReceiver,
    RtpPacket,
    parse_rtp,
    repaired,
)
from benchmarks.stamped import DIGITS, MARK

MS = 1_000_000
SPS, PPS, IDR, SLICE = b"\x67\x42\xe0\x1f", b"\x68\xce\x3c\x80", b"\x65", b"\x41"


def sei(stamp: int) -> bytes:
    payload = MARK + b"%0*d" % (DIGITS, stamp)
    return b"\x06\x05" + bytes([len(payload)]) + payload + b"\x80"


def stap(*nals: bytes) -> bytes:
    return b"\x18" + b"".join(struct.pack("!H", len(n)) + n for n in nals)


def fragments(nal: bytes, count: int) -> list[bytes]:
    size = -(-(len(nal) - 1) // count)
    parts = [nal[1 + n * size : 1 + (n + 1) * size] for n in range(count)]
    heads = [0x80] + [0] * (count - 2) + [0x40]
    indicator = bytes([nal[0] & 0xE0 | 28])
    return [indicator + bytes([h | nal[0] & 31]) + p for h, p in zip(heads, parts, strict=True)]


def frame(number: int, payloads: list[bytes], first: int) -> list[RtpPacket]:
    last = len(payloads) - 1
    return [
        RtpPacket(96, (first + n) & 0xFFFF, number * 3000, 7, n == last, p)
        for n, p in enumerate(payloads)
    ]


def stream(frames: int, *, gop: int = 10, first: int = 65_530) -> list[RtpPacket]:
    """Key frames of five packets, others of three; sequence numbers wrap."""
    out: list[RtpPacket] = []
    for number in range(frames):
        stamp = sei(1_000_000 + number * 33_333)
        if number % gop == 0:
            payloads = [stap(SPS, PPS, stamp), *fragments(IDR + bytes(400), 4)]
        else:
            payloads = [stamp, *fragments(SLICE + bytes(200), 2)]
        out += frame(number, payloads, first + len(out))
    return out


def play(packets: list[RtpPacket], receiver: FrameReceiver | None = None) -> list[Frame]:
    receiver = receiver or FrameReceiver()
    return [f for n, p in enumerate(packets) for f in receiver.receive(p, n * MS)]


def test_a_whole_stream_is_decodable_frame_by_frame() -> None:
    shown = play(stream(30))
    assert len(shown) == 30
    assert all(f.decodable_ns for f in shown)
    assert [n for n, f in enumerate(shown) if f.keyframe] == [0, 10, 20]
    assert [f.stamp_us for f in shown] == [1_000_000 + n * 33_333 for n in range(30)]


def test_nothing_is_decodable_before_the_first_key_frame() -> None:
    packets = stream(12)
    shown = play(packets[5:])
    assert [bool(f.decodable_ns) for f in shown] == [False] * 9 + [True] * 2


def test_order_within_the_network_does_not_matter() -> None:
    packets = stream(20)
    packets[8], packets[9], packets[12] = packets[12], packets[8], packets[9]
    shown = play(packets)
    assert len(shown) == 20
    assert all(f.decodable_ns for f in shown)


def test_a_missing_packet_is_asked_for_until_it_comes() -> None:
    packets = stream(20)
    receiver = FrameReceiver()
    lost = packets.pop(30)
    shown = play(packets[:40], receiver)
    now = 40 * MS
    assert receiver.nacks(now) == [lost.sequence]
    assert receiver.nacks(now + MS) == []
    assert receiver.nacks(now + RETRY_NS) == [lost.sequence]
    held = len(shown)
    shown += receiver.receive(lost, now + RETRY_NS + MS, repair=True)
    assert len(shown) > held
    assert receiver.recovered == 1
    assert receiver.nacks(now + 10 * RETRY_NS) == []
    assert all(f.decodable_ns for f in shown)


def test_what_never_comes_costs_the_frames_up_to_the_next_key_frame() -> None:
    packets = stream(20)
    lost = packets.pop(12)  # of frame 3
    receiver = FrameReceiver()
    shown = play(packets, receiver)
    assert len(shown) == 3
    shown += receiver.poll(len(packets) * MS + GIVE_UP_NS)
    assert not receiver.broken
    decodable = [f.timestamp // 3000 for f in shown if f.decodable_ns]
    assert decodable == [0, 1, 2, *range(10, 20)]
    assert receiver.given_up == 1
    assert receiver.receive(lost, 1 << 60) == []


def test_doubled_packets_are_counted_and_change_nothing() -> None:
    receiver = FrameReceiver()
    shown = play([p for p in stream(10) for _ in range(2)], receiver)
    assert len(shown) == 10
    assert receiver.duplicates == len(stream(10))


def test_an_rtx_packet_is_the_packet_that_it_repairs() -> None:
    packet = RtpPacket(97, 5, 3000, 9, True, b"\xff\xfe" + b"payload")
    mended = repaired(packet, 96)
    assert mended is not None
    assert (mended.sequence, mended.payload, mended.payload_type) == (0xFFFE, b"payload", 96)
    assert repaired(RtpPacket(97, 5, 3000, 9, False, b""), 96) is None


def test_headers_with_contributors_extensions_and_padding_are_read() -> None:
    head = struct.pack("!BBHII", 0xB1, 0x80 | 96, 7, 90, 11)
    data = head + b"CSRC" + b"\xbe\xde\x00\x01" + b"\x10\x00\x00\x00" + b"data" + b"\x00\x02"
    packet = parse_rtp(data)
    assert packet == RtpPacket(96, 7, 90, 11, True, b"data")
