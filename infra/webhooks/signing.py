"""Signatures of Standard Webhooks 1.0.0: `v1`, HMAC-SHA256. Pure.

Signed is `{id}.{timestamp}.{body}`, the body byte by byte as it is sent. While a secret is being
replaced there are two signatures, separated by a space; a receiver needs one that is good.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
SECRET_BYTES = 32


def secret_of(key: bytes) -> str:
    """As it is shown and kept; the specification allows 24 to 64 bytes."""
    return PREFIX + base64.b64encode(key).decode()


def signature(secret: str, message: str, timestamp_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(
    secrets: Iterable[str], message: str, timestamp_s: int, body: bytes
) -> Mapping[str, str]:
    """The three headers of an attempt."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(
            signature(secret, message, timestamp_s, body) for secret in secrets
        ),
    }
