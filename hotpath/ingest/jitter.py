"""One RTP source put back in order: waits for what is missing, asks for it, gives up in time.

Invariant: packets leave with rising sequence numbers, each at most once; between two that are not
neighbours stands a `Lost`. Nothing waits longer than the hold time, and the buffer never spans more
than `max_packets` sequence numbers. Pure: `now` is an argument (any monotonic ns).

Upstream: `hotpath.ingest.whip_track`, with one buffer per SSRC. Downstream: `depacketize`.
Spec: RFC 3550 A.1 (jumps), RFC 4585 6.2.1 (NACK), RFC 4588 4 (retransmission).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from hotpath.webrtc.rtp import RtpPacket

MAX_DROPOUT = 3000
"""RFC 3550 A.1: a larger jump is believed when the next packet follows it."""
MAX_REQUESTS = 10
UNREPAIRABLE = 512
"""A gap of more packets is an outage: senders no longer have them."""
_OVERTAKEN = 64
_MS = 1_000_000
_REORDER_NS = 5 * _MS
"""Packets that only overtook each other are not asked for."""
_REPAIR_NS, _LATE_NS = 150 * _MS, 60 * _MS
"""The least that is waited for what was asked for, and for what may only be late: both cost delay
only when something is missing, and a jittery line needs them."""
_MIN_RETRY_NS = 20 * _MS
_UNKNOWN_TRIP_NS = 100 * _MS


class Arrival(NamedTuple):
    packet: RtpPacket
    sequence: int
    """Without wrap, rising."""
    received_ns: int
    """Unix ns."""
    now: int
    """The same moment on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Lost:
    """These never came; a resynchronised source may report more than were sent."""

    first: int
    count: int


Ordered: TypeAlias = Arrival | Lost


@dataclass(slots=True)
class _Missing:
    give_up: int
    ask: int | None
    """When to ask for it next; None: not again."""
    requests: int = 0


@dataclass(slots=True)
class JitterCounts:
    received: int = 0
    """Packets of the source itself, duplicates and late ones included."""
    repaired: int = 0
    """Missing packets that a retransmission filled in."""
    duplicates: int = 0
    late: int = 0
    """Came after they were given up."""
    lost: int = 0
    asked: int = 0
    """Sequence numbers in NACKs."""
    resets: int = 0


class JitterBuffer:
    def __init__(
        self,
        *,
        nack: bool,
        min_hold_ns: int | None = None,
        max_hold_ns: int = 500 * _MS,
        max_packets: int = 2048,
        start_hold_ns: int = 20 * _MS,
    ) -> None:
        """Without `nack` a missing packet is waited for `min_hold_ns`, as it may only be late. The
        first packet waits `start_hold_ns` for those that it overtook."""
        self.counts = JitterCounts()
        self._nack = nack
        least = _REPAIR_NS if nack else _LATE_NS
        self._min_hold_ns = least if min_hold_ns is None else min_hold_ns
        self._max_hold_ns = max_hold_ns
        self._max_packets, self._start_hold_ns = max_packets, start_hold_ns
        self._retry_ns = self._hold_ns = 0
        self.set_round_trip(_UNKNOWN_TRIP_NS)
        self._held: dict[int, Arrival] = {}
        self._missing: dict[int, _Missing] = {}
        """In the order of the sequence."""
        self._next: int | None = None
        """The next to leave."""
        self._opens: int | None = None
        """Until then nothing leaves, and what precedes the first packet is taken."""
        self._highest = 0
        self._after_jump: int | None = None
        self._skipped: list[Lost] = []

    def set_round_trip(self, trip_ns: int) -> None:
        """Missing packets are waited for as long as a few requests take, within bounds."""
        self._retry_ns = max(_MIN_RETRY_NS, trip_ns + trip_ns // 2)
        wanted = 4 * trip_ns + 4 * _REORDER_NS if self._nack else 0
        self._hold_ns = min(max(self._min_hold_ns, wanted), self._max_hold_ns)

    def receive(self, packet: RtpPacket, received_ns: int, now: int) -> None:
        """A packet of the source itself."""
        self.counts.received += 1
        sequence = self._place(packet.sequence)
        if sequence is None:
            return
        arrival = Arrival(packet, sequence, received_ns, now)
        if self._next is None:
            self._next = sequence
            self._opens = now + self._start_hold_ns if self._start_hold_ns else None
        elif self._opens is not None and 0 < self._next - sequence <= _OVERTAKEN:
            self._start_at(arrival, now)
            return
        elif sequence <= self._highest:
            self._fill(arrival)
            return
        elif sequence > self._highest + 1:
            self._open_gap(sequence, now)
        self._highest = sequence
        self._held[sequence] = arrival

    def receive_rtx(self, packet: RtpPacket, received_ns: int, now: int) -> None:
        """A retransmission (RFC 4588): the original sequence number, then its payload."""
        if self._next is None or len(packet.payload) <= 2:
            return  # padding that probes for bandwidth
        original = int.from_bytes(packet.payload[:2], "big")
        sequence = self._highest + _signed(original - self._highest)
        if sequence not in self._missing:
            self.counts.duplicates += 1
            return
        repaired = packet._replace(sequence=original, payload=packet.payload[2:])
        self.counts.repaired += 1
        self._fill(Arrival(repaired, sequence, received_ns, now))

    def poll(self, now: int) -> list[Ordered]:
        """What can leave now, in order."""
        if self._opens is not None:
            if now < self._opens:
                return []
            self._opens = None
        out: list[Ordered] = []
        if self._skipped:
            out += self._skipped
            self._skipped.clear()
        held, following = self._held, self._next
        while held and following is not None:
            arrival = held.pop(following, None)
            if arrival is not None:
                out.append(arrival)
                following += 1
                continue
            passed = self._given_up(following, now)
            if not passed:
                break
            out.append(Lost(following, passed))
            following += passed
        self._next = following
        return out

    def nacks(self, now: int) -> list[int]:
        """Sequence numbers (16 bits) to ask for now, in the order of the stream."""
        if not self._nack or not self._missing:
            return []
        due = []
        for sequence, missing in self._missing.items():
            if missing.ask is None or missing.ask > now:
                continue
            missing.ask = None
            if now < missing.give_up:
                due.append(sequence & 0xFFFF)
                missing.requests += 1
                if missing.requests < MAX_REQUESTS:
                    missing.ask = now + self._retry_ns
        self.counts.asked += len(due)
        return due

    def next_deadline(self) -> int | None:
        """When `poll` or `nacks` has something to do again; None: only when packets arrive."""
        if not self._missing:
            return self._opens
        give_up = next(iter(self._missing.values())).give_up
        due = [give_up if self._opens is None else max(give_up, self._opens)]
        if self._opens is not None:
            due.append(self._opens)
        if self._nack:
            due += [m.ask for m in self._missing.values() if m.ask is not None]
        return min(due)

    def _start_at(self, arrival: Arrival, now: int) -> None:
        """A packet older than the first one: the stream starts there."""
        following = self._next or 0
        asked = _Missing(now + self._hold_ns, now + _REORDER_NS)
        between = range(arrival.sequence + 1, following)
        self._missing = {s: replace(asked) for s in between} | self._missing
        self._held[arrival.sequence] = arrival
        self._next = arrival.sequence

    def _place(self, sequence: int) -> int | None:
        """The sequence number without wrap; None for a jump that is not believed yet."""
        if self._next is None:
            return sequence
        placed = self._highest + _signed(sequence - self._highest)
        if -MAX_DROPOUT < placed - self._highest < MAX_DROPOUT:
            self._after_jump = None
            return placed
        if sequence != self._after_jump:
            self._after_jump = (sequence + 1) & 0xFFFF
            return None
        return self._restart(sequence)

    def _restart(self, sequence: int) -> int:
        """Two packets in a row say so: the source counts from elsewhere now."""
        following = self._next or 0
        # Ahead of all that was seen, so that sequence numbers still rise.
        placed = self._highest + 1 + ((sequence - self._highest - 1) & 0xFFFF)
        self.counts.resets += 1
        self._skipped.append(Lost(following, placed - following))
        self._held.clear()
        self._missing.clear()
        self._next, self._after_jump = placed, None
        self._highest = placed - 1
        return placed

    def _fill(self, arrival: Arrival) -> None:
        if self._missing.pop(arrival.sequence, None) is not None:
            self._held[arrival.sequence] = arrival
        elif arrival.sequence in self._held or arrival.sequence == self._highest:
            self.counts.duplicates += 1
        else:
            self.counts.late += 1

    def _open_gap(self, sequence: int, now: int) -> None:
        first = self._highest + 1
        repairable = sequence - first <= UNREPAIRABLE
        give_up = now + self._hold_ns if repairable else now
        ask = now + _REORDER_NS if repairable else None
        for missing in range(first, sequence):
            self._missing[missing] = _Missing(give_up, ask)

    def _given_up(self, first: int, now: int) -> int:
        """How many packets from `first` on are not waited for any longer."""
        sequence = first
        full = self._highest - self._max_packets
        while (missing := self._missing.get(sequence)) is not None:
            if missing.give_up > now and sequence > full:
                break
            del self._missing[sequence]
            sequence += 1
        self.counts.lost += sequence - first
        return sequence - first


def _signed(difference: int) -> int:
    """The difference of two 16-bit counters, nearest to zero."""
    return ((difference + 0x8000) & 0xFFFF) - 0x8000
