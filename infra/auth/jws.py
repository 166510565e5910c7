"""Compact JWS (RFC 7515) with HMAC-SHA256, read and checked; what is signed is for the caller.

Pure. Invariant: a payload comes out only of a token whose one signature verifies with the secret
that its header names, by the one algorithm there is: nothing in a token chooses how it is checked.
Stricter than the RFC asks: no padding, no stray bits, no `crit`, and a bound on the length. Why not
a library: docs/adr/0015.
"""

import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from infra.errors import TokenError

ALGORITHM = "HS256"
MAX_LENGTH = 4096
_HEADERS = 256
"""All tokens of one key have the same header: it is read once."""
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")
_FORBIDDEN = b"+/="
_UNREADABLE = "the token does not verify"


def payload_of(token: str, secrets: Mapping[str, bytes]) -> dict[str, Any]:
    """The claims of a token signed with the secret (kid -> secret) that it names.

    Raises `TokenError`. Times are not looked at.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise TokenError(_UNREADABLE)
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    secret = secrets.get(_kid(header))
    if secret is None:
        raise TokenError("the token is signed with a key that is not known here")
    mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
    if not hmac.compare_digest(mac, _decoded(signature)):
        raise TokenError(_UNREADABLE)
    return _object(payload)


@lru_cache(_HEADERS)
def _kid(header: str) -> str:
    fields = _object(header)
    kid = fields.get("kid")
    if fields.get("alg") != ALGORITHM or "crit" in fields or not isinstance(kid, str):
        raise TokenError(_UNREADABLE)
    return kid


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(part))
    except (ValueError, RecursionError) as error:
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
