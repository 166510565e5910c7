"""RTCP: compound packets to typed events, and the packets this node sends.

Invariant: any bytes give a bounded list of events or `RtcpError`; packet types that are not of use
here are skipped. Pure. Events are tuples, because every viewer reports once a second or more.

Upstream: `peer` (decrypted RTCP). Downstream: `hotpath.fanout.viewer` (reports, NACK, PLI, REMB)
and `hotpath.ingest` (sender reports).
Spec: RFC 3550 6.4 and A.2, RFC 4585 6, RFC 5104 4.3.1, draft-alvestrand-rmcat-remb-03, RFC 5506.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

from hotpath.webrtc.errors import WebRtcError
from hotpath.webrtc.rtp import NS

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
MAX_EVENTS = 128
"""Of one datagram; a report block counts as one."""
MAX_NACKED = 1024
"""Sequence numbers of one NACK that are looked at."""
_BLOCK = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IQIII")


class RtcpError(WebRtcError):
    """The bytes are no RTCP compound packet."""


class SenderReport(NamedTuple):
    ssrc: int
    ntp: int
    """64-bit NTP time at which `rtp` was."""
    rtp: int
    packets: int
    octets: int


class ReceptionReport(NamedTuple):
    """One block of a sender or receiver report: what `reporter` got of `ssrc`."""

    reporter: int
    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    lost: int
    """Cumulative; negative where duplicates outweigh losses."""
    highest_sequence: int
    """Cycles in the upper 16 bits."""
    jitter: int
    """In ticks of the RTP clock."""
    last_sr: int
    """Middle 32 bits of the NTP time of the last sender report; 0: none came."""
    delay_since_sr: int
    """In 1/65536 s."""


class Nack(NamedTuple):
    ssrc: int
    sequences: tuple[int, ...]


class Pli(NamedTuple):
    ssrc: int


class Fir(NamedTuple):
    ssrc: int
    number: int
    """A repeated number is the same request again."""


class Remb(NamedTuple):
    bitrate: int
    """Bits per second that the receiver believes it can take."""
    ssrcs: tuple[int, ...]


class Bye(NamedTuple):
    ssrcs: tuple[int, ...]


RtcpEvent: TypeAlias = SenderReport | ReceptionReport | Nack | Pli | Fir | Remb | Bye


def parse_rtcp(data: bytes) -> list[RtcpEvent]:
    """Events of a compound or reduced-size packet, in order."""
    events: list[RtcpEvent] = []
    at, size = 0, len(data)
    if size < 4:
        raise RtcpError(f"{size} bytes are no RTCP packet")
    while at < size and len(events) < MAX_EVENTS:
        if size - at < 4 or data[at] >> 6 != 2:
            raise RtcpError(f"no RTCP header at byte {at} of {size}")
        count, kind = data[at] & 31, data[at + 1]
        end = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
        if end > size:
            raise RtcpError(f"the RTCP packet at byte {at} is longer than the datagram")
        body_end = end
        if data[at] & 0x20:
            body_end -= data[end - 1]
        if body_end >= at + 4:
            events += _packet(kind, count, data[at + 4 : body_end])
        at = end
    return events[:MAX_EVENTS]


def round_trip_ns(report: ReceptionReport, now_ntp: int) -> int | None:
    """RFC 3550 6.4.1: `now_ntp` is the arrival of the report on the clock of the sender reports."""
    if not report.last_sr:
        return None
    trip = ((now_ntp >> 16) - report.last_sr - report.delay_since_sr) & 0xFFFFFFFF
    return trip * NS >> 16 if trip < 1 << 31 else None  # a clock went backwards


def _packet(kind: int, count: int, body: bytes) -> list[RtcpEvent]:
    if kind == SR and len(body) >= 24:
        ssrc, ntp, rtp, packets, octets = _SENDER.unpack_from(body)
        return [SenderReport(ssrc, ntp, rtp, packets, octets), *_blocks(ssrc, count, body, 24)]
    if kind == RR and len(body) >= 4:
        return [*_blocks(_u32(body, 0), count, body, 4)]
    if kind == BYE:
        return [Bye(_ssrcs(body, 0, count))]
    return _feedback(kind, count, body) if kind in (RTPFB, PSFB) and len(body) >= 8 else []


def _feedback(kind: int, format: int, body: bytes) -> list[RtcpEvent]:
    if kind == RTPFB:
        return [Nack(_u32(body, 4), _nacked(body))] if format == 1 else []
    if format == 1:
        return [Pli(_u32(body, 4))]
    if format == 4:  # the media SSRC of the header is 0; each entry has its own
        return [Fir(_u32(body, at), body[at + 4]) for at in range(8, len(body) - 7, 8)]
    if format == 15 and body[8:12] == b"REMB" and len(body) >= 16:
        mantissa = (body[13] & 3) << 16 | body[14] << 8 | body[15]
        return [Remb(mantissa << (body[13] >> 2), _ssrcs(body, 16, body[12]))]
    return []


def _blocks(reporter: int, count: int, body: bytes, at: int) -> list[ReceptionReport]:
    reports = []
    for begin in range(at, min(at + 24 * count, len(body) - 23), 24):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, begin)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        reports.append(
            ReceptionReport(reporter, ssrc, loss >> 24, lost, highest, jitter, last_sr, delay)
        )
    return reports


def _nacked(body: bytes) -> tuple[int, ...]:
    """RFC 4585 6.2.1: a packet identifier and a bit mask of the 16 that follow."""
    found: dict[int, None] = {}
    for at in range(8, len(body) - 3, 4):
        first, mask = body[at] << 8 | body[at + 1], body[at + 2] << 8 | body[at + 3]
        found[first] = None
        for bit in range(16):
            if mask >> bit & 1:
                found[(first + bit + 1) & 0xFFFF] = None
        if len(found) > MAX_NACKED:
            break
    return tuple(islice(found, MAX_NACKED))


def _ssrcs(body: bytes, at: int, count: int) -> tuple[int, ...]:
    return tuple(_u32(body, begin) for begin in range(at, min(at + 4 * count, len(body) - 3), 4))


def _u32(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")


def _built(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def build_receiver_report(ssrc: int, reports: Sequence[ReceptionReport], cname: str) -> bytes:
    """RR and SDES CNAME: the start of every compound packet this node sends as a receiver."""
    body = struct.pack("!I", ssrc)
    for r in reports[:31]:
        lost = max(-0x800000, min(r.lost, 0x7FFFFF)) & 0xFFFFFF
        loss = min(r.fraction_lost, 255) << 24 | lost
        highest, jitter = r.highest_sequence & 0xFFFFFFFF, min(r.jitter, 0xFFFFFFFF)
        body += _BLOCK.pack(r.ssrc, loss, highest, jitter, r.last_sr, r.delay_since_sr)
    return _built(RR, len(reports[:31]), body) + build_sdes(ssrc, cname)


def build_sdes(ssrc: int, cname: str) -> bytes:
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\0"
    return _built(SDES, 1, chunk + b"\0" * (-len(chunk) % 4))


def build_sender_report(report: SenderReport, cname: str) -> bytes:
    body = _SENDER.pack(
        report.ssrc,
        report.ntp,
        report.rtp & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    return _built(SR, 0, body) + build_sdes(report.ssrc, cname)


def build_nack(sender: int, ssrc: int, sequences: Iterable[int]) -> bytes:
    """`sequences` in the order of the stream (they may wrap)."""
    pairs: list[list[int]] = []
    for sequence in islice(sequences, MAX_NACKED):
        behind = (sequence - pairs[-1][0] - 1) & 0xFFFF if pairs else 16
        if behind < 16:
            pairs[-1][1] |= 1 << behind
        elif not pairs or sequence != pairs[-1][0]:
            pairs.append([sequence, 0])
    return _built(
        RTPFB, 1, struct.pack("!II", sender, ssrc) + b"".join(struct.pack("!HH", *p) for p in pairs)
    )


def build_pli(sender: int, ssrc: int) -> bytes:
    return _built(PSFB, 1, struct.pack("!II", sender, ssrc))


def build_fir(sender: int, ssrc: int, number: int) -> bytes:
    return _built(PSFB, 4, struct.pack("!IIIB3x", sender, 0, ssrc, number & 0xFF))


def build_remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    exponent = max(0, bitrate.bit_length() - 18)
    rate = exponent << 18 | bitrate >> exponent
    head = struct.pack("!II4sI", sender, 0, b"REMB", len(ssrcs[:255]) << 24 | rate)
    return _built(PSFB, 15, head + b"".join(struct.pack("!I", s) for s in ssrcs[:255]))


def build_bye(ssrcs: Sequence[int]) -> bytes:
    return _built(BYE, len(ssrcs[:31]), b"".join(struct.pack("!I", s) for s in ssrcs[:31]))
