"""Signing keys as the API shows them, and as everybody finds them (RFC 7517)."""

from typing import Literal

from pydantic import Field

from infra.control.schemas import In, Out, Timestamp, required_at
from infra.db.control import SigningKey


class SigningKeyCreate(In):
    """A new key that viewer tokens are signed with."""

    at_once: bool = Field(
        False,
        description="It signs at once, for when the one before is in the wrong hands; else when "
        "everybody who verifies has had the time to learn of it.",
    )


class SigningKeyOut(Out):
    id: str = Field(description="`kid` of the tokens that it signs.", examples=["sk_2kq5mzx7c3"])
    public: str = Field(description="`x` of the JWK.")
    signs: bool = Field(description="New tokens are signed with it, if the installation does that.")
    signs_from: Timestamp
    created_at: Timestamp


class SigningKeyList(Out):
    items: list[SigningKeyOut]


class JwkOut(Out):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]
    project: str | None = Field(
        None,
        description="Whose tokens it signs: those with this `prj`. Left out of the set of all, "
        "which tells nobody what projects there are.",
    )


class JwksOut(Out):
    keys: list[JwkOut]


def signing_key_out(row: SigningKey, *, signs: bool) -> SigningKeyOut:
    return SigningKeyOut(
        id=row.id,
        public=row.public,
        signs=signs,
        signs_from=required_at(row.signs_from_ms),
        created_at=required_at(row.created_ms),
    )
