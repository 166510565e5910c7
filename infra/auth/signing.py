"""Ed25519 keys that viewer tokens are signed with: as text, as objects, and as JWK (RFC 8037).

The private half is base64 of its 32 bytes, and is control's alone; the public half is base64url
without padding, as in a JWK, and may be known to everybody.
"""

import base64
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.auth.jws import EDDSA


def new_private() -> str:
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


@lru_cache(maxsize=256)
def private_key(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))


def public_of(private: str) -> str:
    """The public half of a private one."""
    raw = private_key(private).public_key().public_bytes_raw()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@lru_cache(maxsize=4096)
def public_key(text: str) -> Ed25519PublicKey:
    """Raises ValueError for what is none."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no Ed25519 public key") from error


def jwk(kid: str, public: str) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": public, "kid": kid, "use": "sig", "alg": EDDSA}
