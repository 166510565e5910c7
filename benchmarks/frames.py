"""What a viewer makes of its video packets: frames, what to ask for again, when each was whole.

Pure: packets and the time go in, results and feedback come out. Invariant: a frame is decodable
only when all of it and all frames since its key frame have come; `nacks` never asks for the same
packet more often than every `RETRY_NS`. Spec: RFC 6184 (payload), RFC 4588 (RTX), RFC 4585 (NACK).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.stamped import DIGITS, MARK, stamp_of

RETRY_NS = 40_000_000
FIRST_NACK_NS = 5_000_000
GIVE_UP_NS = 1_000_000_000
_START = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes


def parse_rtp(data: bytes) -> RtpPacket:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    at = 12 + 4 * (first & 15)
    if first & 16:
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
    end = len(data) - data[-1] if first & 32 else len(data)
    return RtpPacket(second & 127, sequence, timestamp, ssrc, second > 127, data[at:end])


def repaired(packet: RtpPacket, payload_type: int) -> RtpPacket | None:
    """The packet that an RTX packet carries; None for padding (a probe for bandwidth)."""
    if len(packet.payload) < 2:
        return None
    sequence = int.from_bytes(packet.payload[:2], "big")
    return RtpPacket(payload_type, sequence, packet.timestamp, 0, packet.marker, packet.payload[2:])


@dataclass(frozen=True, slots=True)
class Frame:
    timestamp: int
    keyframe: bool
    complete_ns: int
    """When its last missing packet came."""
    stamp_us: int | None
    decodable_ns: int | None
    """When it and all it depends on were there; None: never."""


class FrameReceiver:
    """One video stream of one viewer. `now` is Unix nanoseconds."""

    def __init__(self, *, give_up_ns: int = GIVE_UP_NS) -> None:
        self._give_up_ns = give_up_ns
        self._highest: int | None = None
        self._next: int | None = None
        """The first packet that is not yet part of a finished frame."""
        self._held: dict[int, tuple[RtpPacket, int]] = {}
        self._missing: dict[int, tuple[int, int]] = {}
        """Sequence → (missed since, asked last)."""
        self._chain = False
        """The last frame was decodable."""
        self._cut = False
        """What comes next may be the rest of a frame whose beginning was given up."""
        self.packets = self.recovered = self.duplicates = self.given_up = 0

    def receive(self, packet: RtpPacket, now: int, *, repair: bool = False) -> list[Frame]:
        sequence = self._extended(packet.sequence)
        self.packets += 1
        if self._next is None:
            self._next = self._highest = sequence
        assert self._highest is not None
        if sequence < self._next or sequence in self._held:
            self.duplicates += 1
            return []
        if self._missing.pop(sequence, None) is not None and repair:
            self.recovered += 1
        for gap in range(self._highest + 1, sequence):
            self._missing[gap] = (now, now - RETRY_NS + FIRST_NACK_NS)
        self._highest = max(self._highest, sequence)
        self._held[sequence] = (packet, now)
        return list(self._frames(now))

    def poll(self, now: int) -> list[Frame]:
        """Skip what has been missed for too long; frames behind it may be whole."""
        late = [s for s, (since, _) in self._missing.items() if now - since > self._give_up_ns]
        if not late:
            return []
        self.given_up += len(late)
        self._skip_to(max(late) + 1)
        return list(self._frames(now))

    def nacks(self, now: int) -> list[int]:
        """16-bit sequence numbers to ask for now."""
        due = [s for s, (_, asked) in self._missing.items() if now - asked >= RETRY_NS]
        for sequence in due:
            self._missing[sequence] = (self._missing[sequence][0], now)
        return [s & 0xFFFF for s in due]

    @property
    def broken(self) -> bool:
        """Only a key frame helps."""
        return not self._chain

    def _extended(self, sequence: int) -> int:
        if self._highest is None:
            return 0x10000 + sequence
        step = (sequence - self._highest) & 0xFFFF
        return self._highest + (step if step < 0x8000 else step - 0x10000)

    def _skip_to(self, sequence: int) -> None:
        """Give up everything before `sequence` and the rest of the frame it cuts."""
        assert self._next is not None
        self._chain, self._cut = False, True
        for old in [s for s in self._held if s < sequence]:
            del self._held[old]
        for old in [s for s in self._missing if s < sequence]:
            del self._missing[old]
        self._next = sequence

    def _frames(self, now: int) -> Iterator[Frame]:
        assert self._next is not None
        while (first := self._held.get(self._next)) is not None:
            timestamp = first[0].timestamp
            end = self._next
            while (held := self._held.get(end)) and held[0].timestamp == timestamp:
                if held[0].marker:
                    break
                end += 1
            if held is None:
                return  # the frame goes on, or a packet is missing
            whole = held[0].timestamp == timestamp
            last = end if whole else end - 1
            packets = [self._held.pop(s) for s in range(self._next, last + 1)]
            self._next = last + 1
            yield self._frame([p for p, _ in packets], max(at for _, at in packets), now, whole)

    def _frame(self, packets: list[RtpPacket], complete: int, now: int, whole: bool) -> Frame:
        nals = list(_units(packets))
        kinds = [n[0] & 31 for n in nals if n]
        keyframe = 5 in kinds
        # A key frame is sent behind its parameter sets, so one that has them has its beginning.
        begun = kinds[:1] == [7] or not self._cut
        if not (whole and begun):
            self._chain = False
        elif keyframe:
            self._chain = True
        self._cut = False
        data = b"".join(_START + n for n in nals)
        return Frame(
            packets[0].timestamp,
            keyframe,
            complete,
            stamp_of(data),
            now if self._chain else None,
        )


def _units(packets: list[RtpPacket]) -> Iterator[bytes]:
    """NAL units; a fragment without its beginning is left out."""
    fragment: bytearray | None = None
    for packet in packets:
        payload = packet.payload
        kind = payload[0] & 31 if payload else 0
        if kind == 24:
            at = 1
            while at + 2 <= len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                yield payload[at + 2 : at + 2 + size]
                at += 2 + size
        elif kind == 28:
            if payload[1] & 0x80:
                fragment = bytearray([payload[0] & 0xE0 | payload[1] & 31])
            if fragment is not None:
                fragment += payload[2:]
                if payload[1] & 0x40:
                    yield bytes(fragment)
                    fragment = None
        elif payload:
            yield payload


def stamp_in(payload: bytes) -> int | None:
    """The stamp in one RTP payload, whatever its packetisation, in µs."""
    return stamp_of(payload) if len(payload) > len(MARK) + DIGITS else None
