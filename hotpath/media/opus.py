"""Opus in a transport stream: control headers off, OpusHead made from the descriptor.

Invariant: `split` returns whole Opus packets and never raises. ETSI TS 103 491 is not public for
every reader; the layout used here is the "Opus in MPEG-TS" mapping of opus-codec.org: descriptors
`Opus` registration + extension 0x80, and before each packet the 11-bit prefix 0x3FF, flags, size.
RFC 6716 §3.1 for durations, RFC 7845 §5.1 for OpusHead.
"""

from dataclasses import dataclass

from hotpath.media.psi import StreamEntry

SAMPLE_RATE = 48_000
_PRE_SKIP = 312
# RFC 7845 §5.1.1.2: (streams, coupled streams, mapping) by channel count
_MAPPINGS = {
    3: (2, 1, bytes((0, 2, 1))),
    4: (2, 2, bytes((0, 1, 2, 3))),
    5: (3, 2, bytes((0, 4, 1, 2, 3))),
    6: (4, 2, bytes((0, 4, 1, 2, 3, 5))),
    7: (4, 3, bytes((0, 4, 1, 2, 3, 5, 6))),
    8: (5, 3, bytes((0, 6, 1, 2, 3, 4, 5, 7))),
}


@dataclass(frozen=True, slots=True)
class OpusPacket:
    data: bytes
    samples: int
    """Duration at 48 kHz; 0 where the packet is malformed."""


def channels_of(entry: StreamEntry) -> int:
    """Channels by the extension descriptor; 2 where it is absent or out of range."""
    for tag, body in entry.descriptors:
        if tag == 0x7F and len(body) >= 2 and body[0] == 0x80:
            return body[1] if 1 <= body[1] <= 8 else 2
    return 2


def opus_head(channels: int, pre_skip: int = _PRE_SKIP) -> bytes:
    """OpusHead, version 1."""
    family = 0 if channels <= 2 else 1
    head = (
        b"OpusHead"
        + bytes((1, channels))
        + pre_skip.to_bytes(2, "little")
        + SAMPLE_RATE.to_bytes(4, "little")
        + bytes((0, 0, family))
    )
    if family:
        streams, coupled, mapping = _MAPPINGS[channels]
        head += bytes((streams, coupled)) + mapping
    return head


def packet_samples(packet: bytes) -> int:
    """Samples at 48 kHz by the TOC byte."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    counted = packet[1] & 63 if len(packet) > 1 else 0
    samples = frame * (1, 2, 2, counted)[code]
    return samples if samples <= 5760 else 0  # at most 120 ms


def split(payload: bytes) -> tuple[list[OpusPacket], int]:
    """(packets of one PES payload, bytes that were not understood)."""
    packets = []
    at, size = 0, len(payload)
    while at + 3 <= size:
        if payload[at] != 0x7F or payload[at + 1] & 0xE0 != 0xE0:
            break
        flags = payload[at + 1]
        at += 2
        length = 0
        while at < size:
            length += payload[at]
            at += 1
            if payload[at - 1] != 0xFF:
                break
        at += 2 * (flags >> 4 & 1) + 2 * (flags >> 3 & 1)  # start trim, end trim
        if flags & 0x04 and at < size:
            at += 1 + payload[at]
        if at + length > size:
            break
        data = payload[at : at + length]
        packets.append(OpusPacket(data, packet_samples(data)))
        at += length
    return packets, size - at if at < size else 0
