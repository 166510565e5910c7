"""Viewer tokens: what they open, until when, and what does not verify."""

import dataclasses
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.tokens import ViewerClaims, covers, issue, verify
from infra.errors import TokenError

SECRET = bytes(range(32))
NOW = 1_700_000_000
CLAIMS = ViewerClaims(
    project="acme",
    event="ev_1",
    path_prefix="/live/acme/ev_1",
    subject="viewer-7",
    issued_at=NOW,
    expires_at=NOW + 60,
    token_id="tk_1",
)


def test_claims_come_back() -> None:
    assert verify(issue(CLAIMS, SECRET, "k1"), {"k1": SECRET}, NOW + 59) == CLAIMS


def test_the_last_second_is_over() -> None:
    with pytest.raises(TokenError, match="expired"):
        verify(issue(CLAIMS, SECRET, "k1"), {"k1": SECRET}, NOW + 60)


@pytest.mark.parametrize(
    "secrets",
    [{}, {"k2": SECRET}, {"k1": bytes(32)}],
    ids=["no secret", "other kid", "other secret"],
)
def test_a_foreign_signature_does_not_verify(secrets: dict[str, bytes]) -> None:
    with pytest.raises(TokenError):
        verify(issue(CLAIMS, SECRET, "k1"), secrets, NOW)


def test_an_unsigned_token_does_not_verify() -> None:
    payload = jwt.decode(issue(CLAIMS, SECRET, "k1"), options={"verify_signature": False})
    unsigned = jwt.encode(payload, None, algorithm="none", headers={"kid": "k1"})
    with pytest.raises(TokenError):
        verify(unsigned, {"k1": SECRET}, NOW)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_garbage_is_a_token_error(token: str) -> None:
    with pytest.raises(TokenError):
        verify(token, {"k1": SECRET}, NOW)


@given(st.data())
def test_a_token_with_one_changed_character_does_not_verify(data: st.DataObject) -> None:
    token = issue(CLAIMS, SECRET, "k1")
    at = data.draw(st.integers(0, len(token) - 1))
    changed = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda c: c != token[at]))
    with pytest.raises(TokenError):
        verify(token[:at] + changed + token[at + 1 :], {"k1": SECRET}, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "another"},
        {"iss": None},
        {"exp": str(NOW + 60)},
        {"exp": NOW + 60.5},
        {"exp": True},
        {"iat": None},
        {"nbf": NOW + 1},
        {"nbf": "soon"},
        {"sub": 7},
        {"pfx": None},
    ],
)
def test_claims_of_another_kind_do_not_verify(change: dict[str, object]) -> None:
    payload = jwt.decode(issue(CLAIMS, SECRET, "k1"), options={"verify_signature": False})
    changed = {k: v for k, v in (payload | change).items() if v is not None}
    # PyJWT would not sign some of these; a thief of the secret might.
    token = jwt.PyJWS().encode(json.dumps(changed).encode(), SECRET, "HS256", {"kid": "k1"})
    with pytest.raises(TokenError):
        verify(token, {"k1": SECRET}, NOW)


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("/live/acme/ev_1", True),
        ("/live/acme/ev_1/main/index.m3u8", True),
        ("/live/acme/ev_10/main/index.m3u8", False),
        ("/live/acme", False),
        ("/live/other/ev_1/main/index.m3u8", False),
    ],
)
def test_a_token_opens_its_prefix_and_below(path: str, opened: bool) -> None:
    assert covers(CLAIMS, path) is opened


def test_an_empty_prefix_opens_nothing() -> None:
    assert not covers(dataclasses.replace(CLAIMS, path_prefix=""), "/live/acme/ev_1")
