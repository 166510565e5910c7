"""Random ids: a prefix that names the kind, then 100 random bits as lowercase base32."""

import base64
import secrets


def new_id(prefix: str) -> str:
    """For example `ev_` + 20 characters; matches the name grammar of `infra.keys`."""
    return prefix + base64.b32encode(secrets.token_bytes(13)).decode()[:20].lower()
