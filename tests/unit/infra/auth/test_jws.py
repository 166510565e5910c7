"""Our reader of signed tokens beside PyJWT: what verifies, what does not, and what is too lax."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.jws import MAX_LENGTH, payload_of
from infra.errors import TokenError

SECRET = bytes(range(32))
SECRETS = {"k1": SECRET, "k2": bytes(32)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
CLAIMS = st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=5)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Any, payload: bytes, secret: bytes = SECRET) -> str:
    text = f"{encoded(json.dumps(header).encode())}.{encoded(payload)}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


@given(CLAIMS, st.sampled_from(["k1", "k2"]))
def test_what_pyjwt_signs_is_read(claims: dict[str, Any], kid: str) -> None:
    token = jwt.encode({"_": claims}, SECRETS[kid], algorithm="HS256", headers={"kid": kid})
    if len(token) <= MAX_LENGTH:
        assert payload_of(token, SECRETS) == {"_": claims}


@given(st.data())
def test_any_other_character_anywhere_is_refused(data: st.DataObject) -> None:
    token = signed({"alg": "HS256", "kid": "k1"}, b'{"a": 1}')
    at = data.draw(st.integers(0, len(token) - 1))
    changed = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != token[at]))
    with pytest.raises(TokenError):
        payload_of(token[:at] + changed + token[at + 1 :], SECRETS)


@given(st.text() | st.text(alphabet="eyJhbGci.-_=+/", max_size=80))
def test_whatever_comes_is_a_token_error(token: str) -> None:
    with pytest.raises(TokenError):
        payload_of(token, SECRETS)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k1"},
        {"alg": "HS512", "kid": "k1"},
        {"alg": ["HS256"], "kid": "k1"},
        {"kid": "k1"},
        {"alg": "HS256"},
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "kid": "k3"},
        {"alg": "HS256", "kid": "k1", "crit": ["exp"], "exp": 1},
        ["HS256", "k1"],
    ],
)
def test_a_header_does_not_choose_how_it_is_checked(header: Any) -> None:
    with pytest.raises(TokenError):
        payload_of(signed(header, b"{}"), SECRETS)


@pytest.mark.parametrize("payload", [b"[]", b"1", b"", b"{", b"\xff", b"[" * 2000, b'{"a": 1} x'])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(TokenError):
        payload_of(signed({"alg": "HS256", "kid": "k1"}, payload), SECRETS)


def test_padding_more_parts_and_too_much_of_it_are_refused() -> None:
    token = signed({"alg": "HS256", "kid": "k1"}, b'{"a": 12}')
    long = signed({"alg": "HS256", "kid": "k1"}, json.dumps({"a": "x" * MAX_LENGTH}).encode())
    for wrong in (token + "=", token + ".", "." + token, f"{token}.{token}", token[:-1], long):
        with pytest.raises(TokenError):
            payload_of(wrong, SECRETS)
