"""A stamped programme without an end: continuous timestamps, and the time in every stamp.

Invariant: a burst is what leaves together, the packets from one PES start to the next; its stamp is
written when it is made, which is when it leaves. Upstream: `stamped`. Downstream: `publisher`.
"""

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.stamped import DIGITS, MARK

PACKET = 188
_WRAP = 1 << 33


@dataclass(frozen=True, slots=True)
class _Burst:
    """The packets from one PES start to the next: what leaves together."""

    dts: int
    begin: int
    end: int
    stamp: int | None
    times: tuple[tuple[str, int], ...]


def read_time(data: bytes | bytearray, at: int) -> int:
    """A 33-bit PTS or DTS (ISO/IEC 13818-1 2.4.3.6)."""
    high, middle, low = struct.unpack_from(">BHH", data, at)
    return int((high >> 1 & 7) << 30 | middle >> 1 << 15 | low >> 1)


def write_time(data: bytearray, at: int, value: int) -> None:
    value %= _WRAP
    high = (data[at] & 0xF1) | (value >> 30 & 7) << 1
    middle, low = (value >> 15 & 0x7FFF) << 1 | 1, (value & 0x7FFF) << 1 | 1
    struct.pack_into(">BHH", data, at, high, middle, low)


def _shift_clock(data: bytearray, at: int, ticks: int) -> None:
    """A PCR's base moves; its extension stays."""
    packed = int.from_bytes(data[at : at + 6], "big")
    base = ((packed >> 15) + ticks) % _WRAP
    data[at : at + 6] = (base << 15 | packed & 0x7FFF).to_bytes(6, "big")


def bursts(data: bytes) -> list[_Burst]:
    found: list[_Burst] = []
    for at in range(0, len(data), PACKET):
        control = data[at + 3]
        payload = at + 4
        times: list[tuple[str, int]] = []
        if control & 0x20:
            if data[payload] and data[payload + 1] & 0x10:
                times.append(("pcr", payload + 2))
            payload += 1 + data[payload]
        starts_pes = data[at + 1] & 0x40 and data[payload : payload + 3] == b"\x00\x00\x01"
        if not starts_pes:
            if found:
                last = found[-1]
                found[-1] = _Burst(
                    last.dts, last.begin, at + PACKET, last.stamp, (*last.times, *times)
                )
            continue
        times.append(("time", payload + 9))
        dts = read_time(data, payload + 9)
        if data[payload + 7] & 0x40:
            times.append(("time", payload + 14))
            dts = read_time(data, payload + 14)
        slot = data.find(MARK, payload, at + PACKET - DIGITS)
        begin = at if found else 0  # the tables before the first PES go with it
        found.append(
            _Burst(dts, begin, at + PACKET, slot + len(MARK) if slot >= 0 else None, tuple(times))
        )
    return found


class Stream:
    """The programme as an endless, stamped sequence of (seconds since the start, make bytes)."""

    def __init__(self, data: bytes, clock: Callable[[], int] = time.time_ns) -> None:
        self._data = data
        self._bursts = bursts(data)
        self._clock = clock
        self._continuity: dict[int, int] = {}
        frames = sorted(b.dts for b in self._bursts if b.stamp is not None)
        self._period = frames[-1] - frames[0] + round((frames[-1] - frames[0]) / (len(frames) - 1))
        self._first = self._bursts[0].dts

    def __iter__(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        offset = 0
        while True:
            for burst in self._bursts:
                due = (burst.dts - self._first + offset) / 90_000
                yield due, lambda burst=burst, offset=offset: self._made(burst, offset)  # type: ignore[misc]
            offset += self._period

    def _made(self, burst: _Burst, offset: int) -> bytes:
        out = bytearray(self._data[burst.begin : burst.end])
        for kind, absolute in burst.times:
            at = absolute - burst.begin
            if kind == "pcr":
                _shift_clock(out, at, offset)
            else:
                write_time(out, at, read_time(out, at) + offset)
        for at in range(0, len(out), PACKET):
            if out[at + 3] & 0x10:
                pid = (out[at + 1] & 31) << 8 | out[at + 2]
                count = self._continuity[pid] = (self._continuity.get(pid, -1) + 1) & 15
                out[at + 3] = out[at + 3] & 0xF0 | count
        if burst.stamp is not None:
            at = burst.stamp - burst.begin
            out[at : at + DIGITS] = b"%0*d" % (DIGITS, self._clock() // 1000)
        return bytes(out)
