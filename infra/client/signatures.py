"""Whether a webhook comes from who shares its secret: Standard Webhooks 1.0.0, `v1`. Pure.

Invariant: one signature must be that of the very bytes, made with one of the secrets, at a time
near `now`; all of them are compared in constant time.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from infra.client.errors import BadSignature
from infra.client.models import Message

PREFIX = "whsec_"
VERSION = "v1,"
MOST = 20
"""Signatures that are looked at; a sender has as many as it has secrets, one or two."""


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    now: float,
    tolerance_s: float = 300,
) -> Message:
    """The message of a delivery; raises BadSignature. `now` is in seconds, as of `time.time()`.

    `payload` is the body as it came, byte by byte.
    """
    body = payload.encode() if isinstance(payload, str) else payload
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message = given["webhook-id"]
        stamp = given["webhook-timestamp"]
        signatures = given["webhook-signature"]
    except KeyError as missing:
        raise BadSignature(f"the header {missing} is missing") from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise BadSignature("webhook-timestamp is no number")
    if abs(now - int(stamp)) > tolerance_s:
        raise BadSignature(f"it was sent more than {tolerance_s:g} s from now")
    signed = f"{message}.{stamp}.".encode() + body
    keys = [_key(one) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    expected = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    matches = [
        hmac.compare_digest(one, wanted) for one in _listed(signatures) for wanted in expected
    ]
    if not any(matches):
        raise BadSignature("none of the signatures is made with one of the secrets")
    return _read(body)


def _key(secret: str) -> bytes:
    """Raises ValueError: a secret that is none is a mistake of this side."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("the secret is not base64 behind whsec_") from error
    if not key:
        raise ValueError("the secret is empty")
    return key


def _listed(header: str) -> list[bytes]:
    found = []
    for one in header.split()[:MOST]:
        if one.startswith(VERSION):
            try:
                found.append(base64.b64decode(one.removeprefix(VERSION), validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _read(body: bytes) -> Message:
    try:
        return Message.model_validate(json.loads(body))
    except (ValueError, ValidationError) as error:
        raise BadSignature("the body is signed and is no message of this API") from error
