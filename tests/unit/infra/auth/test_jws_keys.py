"""Which key verifies what: the key decides by which algorithm, never the token."""

import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.jws import VerifyingKey, payload_of
from infra.auth.signing import jwk, new_private, private_key, public_key, public_of
from infra.errors import TokenError

SECRET = bytes(range(32))
PRIVATE = new_private()
PUBLIC = public_key(public_of(PRIVATE))
KEYS: dict[str, VerifyingKey] = {"secret": SECRET, "public": PUBLIC}
BODY = {"sub": "ada"}


def signed(algorithm: str, kid: str, key: object) -> str:
    return jwt.PyJWS().encode(json.dumps(BODY).encode(), key, algorithm, {"kid": kid})  # type: ignore[arg-type]


def test_either_kind_of_key_verifies_what_it_signed() -> None:
    assert payload_of(signed("HS256", "secret", SECRET), KEYS) == BODY
    assert payload_of(signed("EdDSA", "public", private_key(PRIVATE)), KEYS) == BODY


def test_a_public_key_is_no_secret() -> None:
    """The classic confusion: HMAC with what everybody knows, in every form that it has."""
    forms = [PUBLIC.public_bytes_raw(), public_of(PRIVATE).encode()]
    for encoding, form in (
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    ):
        forms.append(PUBLIC.public_bytes(encoding, form))
    start = signed("HS256", "public", SECRET).rpartition(".")[0]
    for key in forms:
        mac = hmac.digest(key, start.encode(), "sha256")
        with pytest.raises(TokenError):
            payload_of(f"{start}.{jwt.utils.base64url_encode(mac).decode()}", KEYS)


@pytest.mark.parametrize(
    "token",
    [
        signed("EdDSA", "secret", private_key(PRIVATE)),
        signed("EdDSA", "public", private_key(new_private())),
        signed("EdDSA", "unknown", private_key(PRIVATE)),
        signed("HS256", "public", SECRET),
        signed("HS512", "secret", SECRET * 2),
    ],
    ids=["another's kid", "another key", "unknown kid", "HMAC with its kid", "another algorithm"],
)
def test_what_another_key_signed_does_not_verify(token: str) -> None:
    with pytest.raises(TokenError):
        payload_of(token, KEYS)


@given(st.data())
def test_a_token_with_one_changed_character_does_not_verify(data: st.DataObject) -> None:
    token = signed("EdDSA", "public", private_key(PRIVATE))
    at = data.draw(st.integers(0, len(token) - 1))
    changed = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != token[at]))
    with pytest.raises(TokenError):
        payload_of(token[:at] + changed + token[at + 1 :], KEYS)


@given(st.binary(max_size=80))
def test_a_signature_of_any_length_is_refused(signature: bytes) -> None:
    token = signed("EdDSA", "public", private_key(PRIVATE))
    forged = token.rpartition(".")[0] + "." + jwt.utils.base64url_encode(signature).decode()
    with pytest.raises(TokenError):
        payload_of(forged, KEYS)


def test_anybody_verifies_with_the_jwk() -> None:
    token = jwt.encode(BODY, private_key(PRIVATE), "EdDSA", {"kid": "public"})
    key = jwt.PyJWK(jwk("public", public_of(PRIVATE)))
    assert jwt.decode(token, key, ["EdDSA"]) == BODY


@pytest.mark.parametrize("text", ["", "AA", "*" * 43, "é", "A" * 100])
def test_what_is_no_public_key_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no Ed25519 public key"):
        public_key(text)
