"""Compact JWS (RFC 7515) with HMAC-SHA256 or Ed25519, read and checked; what is signed is for the
caller.

Pure. Invariant: a payload comes out only of a token whose one signature verifies with the key that
its header names, by the one algorithm that this key has: nothing in a token chooses how it is
checked. Stricter than the RFC asks: no padding, no stray bits, no `crit`, a bound on the length.
Why not a library: docs/adr/0015. Spec of Ed25519 in JWS: RFC 8037.
"""

import binascii
import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic_core import from_json

from infra.errors import TokenError

Algorithm: TypeAlias = Literal["HS256", "EdDSA"]
HS256: Algorithm = "HS256"
EDDSA: Algorithm = "EdDSA"
VerifyingKey: TypeAlias = bytes | Ed25519PublicKey
"""A secret for HMAC, or a public key."""
MAX_LENGTH = 4096
_HEADERS = 256
"""All tokens of one key have the same header: it is read once."""
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")
_FORBIDDEN = b"+/="
_UNREADABLE = "the token does not verify"


def payload_of(token: str, keys: Mapping[str, VerifyingKey]) -> dict[str, Any]:
    """The claims of a token signed with the key (by its kid) that it names.

    Raises `TokenError`. Times are not looked at.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise TokenError(_UNREADABLE)
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    algorithm, kid = _named(header)
    key = keys.get(kid)
    if key is None:
        raise TokenError("the token is signed with a key that is not known here")
    if not _verifies(algorithm, key, signed.encode(), _decoded(signature)):
        raise TokenError(_UNREADABLE)
    return _object(payload)


def _verifies(algorithm: Algorithm, key: VerifyingKey, signed: bytes, signature: bytes) -> bool:
    if isinstance(key, bytes):
        mac = hmac.digest(key, signed, hashlib.sha256)
        return algorithm == HS256 and hmac.compare_digest(mac, signature)
    if algorithm != EDDSA:
        return False
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


@lru_cache(_HEADERS)
def _named(header: str) -> tuple[Algorithm, str]:
    """Algorithm and kid."""
    fields = _object(header)
    algorithm, kid = fields.get("alg"), fields.get("kid")
    if algorithm not in (HS256, EDDSA) or "crit" in fields or not isinstance(kid, str):
        raise TokenError(_UNREADABLE)
    return EDDSA if algorithm == EDDSA else HS256, kid


def _object(part: str) -> dict[str, Any]:
    try:
        found = from_json(_decoded(part))
    except ValueError as error:
        raise TokenError(_UNREADABLE) from error
    if not isinstance(found, dict):
        raise TokenError(_UNREADABLE)
    return found


def _decoded(part: str) -> bytes:
    """base64url without padding (RFC 7515, 2), in its one form."""
    encoded = part.encode()
    if len(encoded) % 4 == 1 or encoded.translate(None, _FORBIDDEN) != encoded:
        raise TokenError(_UNREADABLE)
    plain = encoded.translate(_TO_BASE64) + b"=" * (-len(encoded) % 4)
    try:
        data = binascii.a2b_base64(plain, strict_mode=True)
    except binascii.Error as error:
        raise TokenError(_UNREADABLE) from error
    if binascii.b2a_base64(data, newline=False) != plain:
        raise TokenError(_UNREADABLE)
    return data
