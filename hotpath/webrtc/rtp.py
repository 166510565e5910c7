"""RTP packets: headers, RFC 8285 extensions, counters that wrap made continuous.

Invariant: `parse_rtp` returns a packet whose parts lie inside the datagram or raises `RtpError`;
an `Unwrapper`'s result equals its argument modulo its width and is nearest to the one before, so a
wrap is no jump. Pure. It parses by hand because it runs for every packet of every publisher.

Upstream: `peer` (decrypted packets). Downstream: `hotpath.ingest.jitter`, `depacketize`.
Spec: RFC 3550 5.1 and 5.3.1, RFC 8285 4.2 and 4.3.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from hotpath.webrtc.errors import WebRtcError

_FIXED = struct.Struct("!BBHII")
_ONE_BYTE, _TWO_BYTE = 0xBEDE, 0x1000
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
NS = 1_000_000_000


class RtpError(WebRtcError):
    """The bytes are no RTP packet."""


class RtpPacket(NamedTuple):
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    """Without padding."""
    extension_profile: int = 0
    extension: bytes = b""
    """Body of the header extension; `extension_of` finds an element in it."""


def parse_rtp(data: bytes) -> RtpPacket:
    size = len(data)
    if size < 12 or data[0] >> 6 != 2:
        raise RtpError(f"{size} bytes are no RTP packet of version 2")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    at = 12 + 4 * (first & 15)
    profile, extension = 0, b""
    if first & 0x10:
        if at + 4 > size:
            raise RtpError("the RTP header extension ends too early")
        profile = data[at] << 8 | data[at + 1]
        begin = at + 4
        at = begin + 4 * (data[at + 2] << 8 | data[at + 3])
        extension = data[begin:at]
    end = size
    if first & 0x20 and size:
        end -= data[-1]
        if not data[-1]:
            raise RtpError("the RTP padding has no length")
    if at > end:
        raise RtpError("the RTP header or padding is longer than the packet")
    payload = data[at:end]
    return RtpPacket(
        second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, payload, profile, extension
    )


def build_rtp(packet: RtpPacket) -> bytes:
    """The packet with its header extension as it stands, without padding and CSRCs."""
    first = 0x90 if packet.extension_profile else 0x80
    second = packet.payload_type | (0x80 if packet.marker else 0)
    head = _FIXED.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)
    if packet.extension_profile:
        words = len(packet.extension) // 4
        head += struct.pack("!HH", packet.extension_profile, words) + packet.extension
    return head + packet.payload


def build_extension(elements: Iterable[tuple[int, bytes]]) -> tuple[int, bytes]:
    """(profile, body) of a header extension: one-byte elements where all fit, else two-byte."""
    items = list(elements)
    short = all(0 < id < 15 and 0 < len(value) <= 16 for id, value in items)
    body = b"".join(
        bytes((id << 4 | len(value) - 1,) if short else (id, len(value))) + value
        for id, value in items
    )
    return (_ONE_BYTE if short else _TWO_BYTE), body + b"\0" * (-len(body) % 4)


def extension_of(packet: RtpPacket, id: int) -> bytes | None:
    """The element with this id; what is malformed behind it is not looked at."""
    body, profile = packet.extension, packet.extension_profile
    at, size = 0, len(body)
    one_byte = profile == _ONE_BYTE
    if not one_byte and profile & 0xFFF0 != _TWO_BYTE:
        return None
    while at < size:
        head = body[at]
        at += 1
        if head == 0:  # padding
            continue
        if one_byte:
            found, length = head >> 4, (head & 15) + 1
            if found == 15:  # RFC 8285 4.2: stop
                return None
        elif at < size:
            found, length = head, body[at]
            at += 1
        else:
            return None
        if at + length > size:
            return None
        if found == id:
            return body[at : at + length]
        at += length
    return None


class Unwrapper:
    """One per counter of one source: 16 bits for sequence numbers, 32 for timestamps.

    The first value comes out as it is; one that precedes it may come out negative.
    """

    def __init__(self, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self._last: int | None = None

    def near(self, value: int) -> int:
        """What `unwrap` would return; the counter stays where it is."""
        last = self._last
        if last is None:
            return value
        ahead = (value - last) & self._mask
        return last + (ahead if ahead < self._half else ahead - self._mask - 1)

    def unwrap(self, value: int) -> int:
        self._last = value = self.near(value)
        return value


def ntp_of(unix_ns: int) -> int:
    """64-bit NTP timestamp of a Unix time."""
    return ((unix_ns << 32) // NS + (_NTP_EPOCH << 32)) & 0xFFFFFFFFFFFFFFFF


def unix_ns_of(ntp: int) -> int:
    """Unix time of a 64-bit NTP timestamp of this era (until 2036)."""
    return ((ntp - (_NTP_EPOCH << 32)) * NS + (1 << 31)) >> 32
