"""STUN binding messages, as ICE uses them: parsed strictly, answered only when authenticated.

Invariant: pure and total: any bytes give a `Message` or `StunError`; nothing is read beyond what
the lengths declare; once `verify` said yes, `Message` holds only what MESSAGE-INTEGRITY covers.

Upstream: datagrams from `mux`. Downstream: `ice`. Spec: RFC 8489, RFC 8445 16.1.
"""

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from hotpath.webrtc.errors import StunError

HEADER = 20
COOKIE = 0x2112A442
_COOKIE_BYTES = COOKIE.to_bytes(4, "big")
_INTEGRITY_SIZE = 24
_FINGERPRINT_SIZE = 8
_FINGERPRINT_XOR = 0x5354554E
_MAX_MESSAGE = 1500
_MAX_USERNAME = 513
"""RFC 8489 14.3: fewer than 509 bytes; ICE: two ufrags of up to 256 characters and a colon."""

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A
_KNOWN = {
    USERNAME,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    XOR_MAPPED_ADDRESS,
    PRIORITY,
    USE_CANDIDATE,
    0x001C,  # MESSAGE-INTEGRITY-SHA256, which no ICE agent relies on
}
_ANY_SIZE = (0, _MAX_MESSAGE)
_SIZES = {
    USERNAME: (0, _MAX_USERNAME),
    MESSAGE_INTEGRITY: (20, 20),
    ERROR_CODE: (4, _MAX_MESSAGE),
    PRIORITY: (4, 4),
    USE_CANDIDATE: (0, 0),
    ICE_CONTROLLED: (8, 8),
    ICE_CONTROLLING: (8, 8),
}
"""Least and most bytes of an attribute's value."""
_REASONS = {420: "Unknown Attribute", 487: "Role Conflict"}

Address = tuple[str, int]


class Kind(IntEnum):
    """Message types of the Binding method, RFC 8489 5."""

    REQUEST = 0x0001
    INDICATION = 0x0011
    RESPONSE = 0x0101
    ERROR = 0x0111


_KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}


@dataclass(slots=True)
class Message:
    """Not frozen only because a flood of forged ones must be cheap to read."""

    kind: Kind
    transaction: bytes
    username: bytes | None = None
    integrity_at: int = 0
    """Offset of MESSAGE-INTEGRITY; 0: the message has none."""
    priority: int | None = None
    use_candidate: bool = False
    controlling: int | None = None
    controlled: int | None = None
    mapped: Address | None = None
    error: int | None = None
    unknown: tuple[int, ...] = ()
    """Comprehension-required attributes this node does not know (RFC 8489 6.3.1)."""

    @property
    def local_ufrag(self) -> str | None:
        """The receiver's half of USERNAME (RFC 8445 7.2.2), ASCII by its grammar."""
        if self.username is None:
            return None
        name, colon, _ = self.username.partition(b":")
        return name.decode("ascii", "replace") if colon else None


def is_stun(data: bytes) -> bool:
    """RFC 7983 7 by the first byte, then RFC 8489 5: the magic cookie."""
    return len(data) >= HEADER and data[0] < 4 and data[4:8] == _COOKIE_BYTES


def leading_ufrag(data: bytes) -> str | None:
    """The receiver's ufrag of a request that begins with USERNAME, as all known agents' do, without
    parsing it: so that a flood of requests to nobody costs little. None: parse it."""
    if len(data) < HEADER + 8 or data[:2] != b"\0\1" or data[20:22] != b"\0\6":
        return None
    name, colon, _ = data[24 : 24 + ((data[22] << 8) | data[23])].partition(b":")
    return name.decode("ascii", "replace") if colon else None


def parse(data: bytes) -> Message:
    """RFC 8489 5 and 6.3; a FINGERPRINT that is present must match (14.7)."""
    if not is_stun(data) or len(data) > _MAX_MESSAGE:
        raise StunError("no STUN header")
    kind = _KINDS.get((data[0] << 8) | data[1])
    if kind is None:
        raise StunError("not a Binding message")
    size = (data[2] << 8) | data[3]
    # "Since all STUN attributes are padded to a multiple of 4 bytes, the last 2 bits of this field
    # are always zero" (RFC 8489 5); a datagram holds one message and nothing behind it.
    if size & 3 or HEADER + size != len(data):
        raise StunError("the length does not match the datagram")
    message = Message(kind, data[8:HEADER])
    _read_attributes(message, data)
    return message


def verify(data: bytes, message: Message, key: bytes) -> bool:
    """RFC 8489 14.5: the HMAC over what precedes MESSAGE-INTEGRITY, with the length adjusted."""
    at = message.integrity_at
    if not at:
        return False
    covered = data[:2] + (at + _INTEGRITY_SIZE - HEADER).to_bytes(2, "big") + data[4:at]
    return hmac.compare_digest(hmac.digest(key, covered, "sha1"), data[at + 4 : at + 24])


def response(request: Message, source: Address, key: bytes) -> bytes:
    """A success response; `source` is where the request came from."""
    return _sealed(
        Kind.RESPONSE, request.transaction, _xor_mapped(source, request.transaction), key
    )


def error(request: Message, code: int, key: bytes) -> bytes:
    """An error response to an authenticated request: 420 (with what is unknown) or 487."""
    reason = _REASONS[code].encode()
    body = _attribute(ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason)
    if code == 420:
        unknown = struct.pack(f"!{len(request.unknown)}H", *request.unknown)
        body += _attribute(UNKNOWN_ATTRIBUTES, unknown)
    return _sealed(Kind.ERROR, request.transaction, body, key)


def request(
    transaction: bytes,
    username: str,
    key: bytes,
    *,
    priority: int,
    tie_breaker: int,
    controlling: bool = False,
    use_candidate: bool = False,
) -> bytes:
    """A connectivity check, RFC 8445 7.2.4."""
    role = ICE_CONTROLLING if controlling else ICE_CONTROLLED
    body = _attribute(USERNAME, username.encode("ascii"))
    body += struct.pack("!HHI", PRIORITY, 4, priority)
    body += struct.pack("!HHQ", role, 8, tie_breaker)
    if use_candidate:
        body += struct.pack("!HH", USE_CANDIDATE, 0)
    return _sealed(Kind.REQUEST, transaction, body, key)


def _read_attributes(message: Message, data: bytes) -> None:
    at, end = HEADER, len(data)
    seen: set[int] = set()
    while at < end:
        if end - at < 4:
            raise StunError("a torn attribute header")
        kind = (data[at] << 8) | data[at + 1]
        size = (data[at + 2] << 8) | data[at + 3]
        after = at + 4 + ((size + 3) & ~3)
        if after > end:
            raise StunError("an attribute reaches beyond the message")
        if kind == FINGERPRINT:
            _check_fingerprint(data, at, size, after == end)
        elif not message.integrity_at and kind not in seen:
            # 14.5: what follows MESSAGE-INTEGRITY is not covered and is ignored; 14: so is every
            # repetition of an attribute.
            seen.add(kind)
            _take(message, kind, at, data[at + 4 : at + 4 + size])
        at = after


def _take(message: Message, kind: int, at: int, value: bytes) -> None:
    least, most = _SIZES.get(kind, _ANY_SIZE)
    if not least <= len(value) <= most:
        raise StunError(f"attribute {kind:#06x} has {len(value)} bytes")
    if kind == USERNAME:
        message.username = value
    elif kind == MESSAGE_INTEGRITY:
        message.integrity_at = at
    elif kind == PRIORITY:
        message.priority = int.from_bytes(value, "big")
    elif kind == USE_CANDIDATE:
        message.use_candidate = True
    elif kind == ICE_CONTROLLING:
        message.controlling = int.from_bytes(value, "big")
    elif kind == ICE_CONTROLLED:
        message.controlled = int.from_bytes(value, "big")
    elif kind == XOR_MAPPED_ADDRESS:
        message.mapped = _mapped(value, message.transaction)
    elif kind == ERROR_CODE:
        message.error = (value[2] & 7) * 100 + value[3]
    elif kind < 0x8000 and kind not in _KNOWN:
        message.unknown = (*message.unknown, kind)


def _check_fingerprint(data: bytes, at: int, size: int, last: bool) -> None:
    if size != 4 or not last:
        raise StunError("FINGERPRINT is not the last attribute")
    if zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR != int.from_bytes(data[at + 4 : at + 8], "big"):
        raise StunError("FINGERPRINT does not match")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _sealed(kind: Kind, transaction: bytes, body: bytes, key: bytes) -> bytes:
    """The message with MESSAGE-INTEGRITY and FINGERPRINT, whose lengths count those before them."""
    start = COOKIE.to_bytes(4, "big") + transaction + body
    size = len(body) + _INTEGRITY_SIZE
    covered = struct.pack("!HH", kind, size) + start
    start += struct.pack("!HH", MESSAGE_INTEGRITY, 20) + hmac.digest(key, covered, "sha1")
    sealed = struct.pack("!HH", kind, size + _FINGERPRINT_SIZE) + start
    return sealed + struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(sealed) ^ _FINGERPRINT_XOR)


@lru_cache(maxsize=4096)
def _packed(host: str) -> bytes:
    """A zone (`%eth0`) is no part of the address on the wire."""
    return ipaddress.ip_address(host.partition("%")[0]).packed


def _xor_mapped(address: Address, transaction: bytes) -> bytes:
    """RFC 8489 14.2."""
    packed = _packed(address[0])
    mask = int.from_bytes((_COOKIE_BYTES + transaction)[: len(packed)], "big")
    hidden = (int.from_bytes(packed, "big") ^ mask).to_bytes(len(packed), "big")
    family = 1 if len(packed) == 4 else 2
    return _attribute(
        XOR_MAPPED_ADDRESS, struct.pack("!BBH", 0, family, address[1] ^ (COOKIE >> 16)) + hidden
    )


def _mapped(value: bytes, transaction: bytes) -> Address:
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        raise StunError("XOR-MAPPED-ADDRESS is neither IPv4 nor IPv6")
    mask = int.from_bytes((_COOKIE_BYTES + transaction)[: len(value) - 4], "big")
    plain = (int.from_bytes(value[4:], "big") ^ mask).to_bytes(len(value) - 4, "big")
    port = int.from_bytes(value[2:4], "big") ^ (COOKIE >> 16)
    return str(ipaddress.ip_address(plain)), port
