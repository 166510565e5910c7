"""DTLS 1.2 records: flights cut into datagrams, repeated ones recognised, alerts sealed and opened.

Invariant: pure and total: any bytes give records or nothing, never an exception. OpenSSL's state of
a connection is 90 KB, so it is freed once the handshake is done; what must still work then is the
last flight's resend and close_notify, and both need only what is here.

Upstream: `dtls`, `handshake`. Spec: RFC 6347 4, RFC 5246 5 and 6, RFC 5288.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_DATAGRAM = 1200
RECORD_HEADER = 13
_VERSION = b"\xfe\xfd"
_ALERT = 21
_HANDSHAKE = 22
_CLOSE_NOTIFY = b"\x01\x00"
_FATAL = 2
_TAG = 16
_EXPLICIT_NONCE = 8


@dataclass(frozen=True, slots=True)
class Record:
    kind: int
    epoch: int
    sequence: int
    start: int
    end: int
    """Offsets of the whole record in its datagram or flight."""


def is_dtls(data: bytes) -> bool:
    """RFC 7983 7."""
    return len(data) >= RECORD_HEADER and 19 < data[0] < 64


def records(data: bytes) -> Iterator[Record]:
    """The whole records that `data` begins with; a torn or foreign rest ends it."""
    at = 0
    while at + RECORD_HEADER <= len(data) and 19 < data[at] < 64 and data[at + 1] == 0xFE:
        end = at + RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
        if end > len(data):
            return
        epoch = int.from_bytes(data[at + 3 : at + 5], "big")
        yield Record(data[at], epoch, int.from_bytes(data[at + 5 : at + 11], "big"), at, end)
        at = end


def datagrams(flight: bytes, limit: int = MAX_DATAGRAM) -> tuple[bytes, ...]:
    """`flight` cut at record headers into as few datagrams of at most `limit` bytes as in order."""
    out: list[bytes] = []
    start = end = 0
    for record in records(flight):
        if record.end - start > limit and end > start:
            out.append(flight[start:end])
            start = end
        end = record.end
    if end > start:
        out.append(flight[start:end])
    return tuple(out)


def newest_message(data: bytes) -> int:
    """The highest handshake message_seq in plain records (RFC 6347 4.2.2); -1: there is none."""
    newest = -1
    for record in records(data):
        if record.kind == _HANDSHAKE and record.epoch == 0:
            body = record.start + RECORD_HEADER
            if record.end - body >= 6:
                newest = max(newest, int.from_bytes(data[body + 4 : body + 6], "big"))
    return newest


def carries_handshake(data: bytes) -> bool:
    return any(record.kind == _HANDSHAKE for record in records(data))


@dataclass(frozen=True, slots=True)
class AlertKeys:
    """AES-128-GCM write keys and salts of both directions (RFC 5288 3)."""

    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)

    def close_notify(self, sequence: int) -> bytes:
        """Our close_notify as record number `sequence` of epoch 1, which must be unused so far."""
        number = (1).to_bytes(2, "big") + sequence.to_bytes(6, "big")
        nonce = self.local_salt + number
        aad = _associated(number, len(_CLOSE_NOTIFY))
        sealed = number + AESGCM(self.local_key).encrypt(nonce, _CLOSE_NOTIFY, aad)
        head = bytes([_ALERT]) + _VERSION + number + len(sealed).to_bytes(2, "big")
        return head + sealed

    def closes(self, data: bytes) -> bool:
        """True if `data` holds an authentic close_notify or fatal alert of the peer."""
        return any(
            record.kind == _ALERT and record.epoch == 1 and self._ends(data, record)
            for record in records(data)
        )

    def _ends(self, data: bytes, record: Record) -> bool:
        body = data[record.start + RECORD_HEADER : record.end]
        version = data[record.start + 1 : record.start + 3]
        if version != _VERSION or len(body) != _EXPLICIT_NONCE + len(_CLOSE_NOTIFY) + _TAG:
            return False
        nonce = self.remote_salt + body[:_EXPLICIT_NONCE]
        number = data[record.start + 3 : record.start + 11]
        try:
            alert = AESGCM(self.remote_key).decrypt(
                nonce, body[_EXPLICIT_NONCE:], _associated(number, len(_CLOSE_NOTIFY))
            )
        except InvalidTag:
            return False
        return alert[0] == _FATAL or alert[1:] == _CLOSE_NOTIFY[1:]


def alert_keys(
    master_secret: bytes, client_random: bytes, server_random: bytes, *, client: bool
) -> AlertKeys:
    """RFC 5246 6.3 for TLS_*_WITH_AES_128_GCM_SHA256; `client`: this node's role."""
    block = _expand(master_secret, b"key expansion" + server_random + client_random, 40)
    ours = (block[:16], block[32:36])
    theirs = (block[16:32], block[36:40])
    if not client:
        ours, theirs = theirs, ours
    return AlertKeys(*ours, *theirs)


def _expand(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_SHA256 of RFC 5246 5."""
    out, chained = b"", seed
    while len(out) < size:
        chained = hmac.digest(secret, chained, hashlib.sha256)
        out += hmac.digest(secret, chained + seed, hashlib.sha256)
    return out[:size]


def _associated(number: bytes, size: int) -> bytes:
    """RFC 5246 6.2.3.3: epoch and sequence, type, version, length of the plain text."""
    return number + bytes([_ALERT]) + _VERSION + size.to_bytes(2, "big")
