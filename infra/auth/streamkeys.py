"""Stream keys, SRT passphrases and WHIP tokens, derived, so a media node verifies them offline.

Invariant: each is a pure function of (project secret, event, kid, generation), and none tells
anything about the others. The key travels in clear in the SRT streamid and is therefore no secret
by itself; the passphrase never travels; the WHIP token is a bearer token, so whoever reads an SRT
handshake on the wire learns nothing that WHIP accepts. Rotation raises the event's generation;
nothing else needs to be stored.

    key        = kid "." generation "." base32(mac)[:26]
    mac        = HMAC-SHA256(secret, "livepath-key|event|kid|generation")
    passphrase = base32(HKDF-SHA256(secret, info="livepath-srt|event|kid|generation"))[:32]
    token      = kid "." generation "." base32(bearer)[:32]
    bearer     = HMAC-SHA256(secret, "livepath-whip|event|kid|generation")
"""

import base64
import hashlib
import hmac


def _context(purpose: str, event: str, kid: str, generation: int) -> bytes:
    return f"{purpose}|{event}|{kid}|{generation}".encode()


def _base32(data: bytes, length: int) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()[:length]


def stream_key(secret: bytes, event: str, kid: str, generation: int) -> str:
    """The key an encoder puts behind `EVENT/` in its streamid."""
    mac = hmac.digest(secret, _context("livepath-key", event, kid, generation), hashlib.sha256)
    return f"{kid}.{generation}.{_base32(mac, 26)}"


def whip_token(secret: bytes, event: str, kid: str, generation: int) -> str:
    """The bearer token that a WHIP publisher of the event sends."""
    mac = hmac.digest(secret, _context("livepath-whip", event, kid, generation), hashlib.sha256)
    return f"{kid}.{generation}.{_base32(mac, 32)}"


def srt_passphrase(secret: bytes, event: str, kid: str, generation: int) -> str:
    """The SRT passphrase (32 characters; SRT allows 10-79) that goes with the key."""
    # HKDF (RFC 5869) with an empty salt and one output block.
    prk = hmac.digest(bytes(32), secret, hashlib.sha256)
    info = _context("livepath-srt", event, kid, generation)
    return _base32(hmac.digest(prk, info + b"\x01", hashlib.sha256), 32)
