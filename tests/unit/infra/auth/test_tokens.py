"""Viewer tokens: what they open, until when, and what does not verify."""

import dataclasses
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.policy import Role, Tier
from infra.auth.tokens import ViewerClaims, covers, good_from, issue, network_of, verify
from infra.errors import TokenError
from infra.renditions import RUNGS

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
        {"tier": None},
        {"tier": "clips"},
        {"tier": 1},
        {"role": "king"},
        {"role": 1},
        {"cap": "8k"},
        {"cap": 720},
        {"clips": 1},
        {"clips": "yes"},
        {"ip": "192.0.2.1/99"},
        {"ip": "192.0.2.1/24"},
        {"ip": 3221225985},
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


networks = st.one_of(
    st.none(),
    st.ip_addresses(v=4).map(lambda a: network_of(str(a), exact=False)),
    st.ip_addresses(v=6).map(lambda a: network_of(str(a), exact=True)),
)


@given(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(Role),
            "tier": st.sampled_from(Tier),
            "cap": st.sampled_from([None, *RUNGS]),
            "clips": st.booleans(),
            "network": networks,
            "subject": st.text(st.characters(codec="utf-8"), max_size=40),
        }
    )
)
def test_entitlements_come_back(given: dict[str, Any]) -> None:
    claims = dataclasses.replace(CLAIMS, **given)
    assert verify(issue(claims, SECRET, "k1"), {"k1": SECRET}, NOW) == claims


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "prj", "sub", "role", "tier", "cap", "clips", "ip", "exp", "nbf"]),
        json_values,
        min_size=1,
    )
)
def test_whatever_is_signed_is_read_or_refused(change: dict[str, object]) -> None:
    payload = jwt.decode(issue(CLAIMS, SECRET, "k1"), options={"verify_signature": False})
    token = jwt.PyJWS().encode(
        json.dumps(payload | change).encode(), SECRET, "HS256", {"kid": "k1"}
    )
    try:
        claims = verify(token, {"k1": SECRET}, NOW)
    except TokenError:
        return
    assert isinstance(claims.role, Role)
    assert isinstance(claims.tier, Tier)
    assert claims.cap is None or claims.cap in RUNGS


@pytest.mark.parametrize(("tier", "clips"), [("broadcast", False), ("clips", True)])
def test_a_token_from_before_there_were_roles_has_what_it_had(tier: str, clips: bool) -> None:
    payload = jwt.decode(issue(CLAIMS, SECRET, "k1"), options={"verify_signature": False})
    del payload["role"]
    token = jwt.encode(payload | {"tier": tier}, SECRET, "HS256", {"kid": "k1"})
    claims = verify(token, {"k1": SECRET}, NOW)
    assert claims == dataclasses.replace(CLAIMS, clips=clips)
    assert (claims.role, claims.tier) == (Role.VIEWER, Tier.STANDARD)


@pytest.mark.parametrize(
    ("bound_to", "exact", "address", "good"),
    [
        ("192.0.2.7", True, "192.0.2.7", True),
        ("192.0.2.7", True, "192.0.2.8", False),
        ("192.0.2.7", True, "::ffff:192.0.2.7", True),
        ("::ffff:192.0.2.7", True, "192.0.2.7", True),
        ("192.0.2.7", False, "192.0.2.200", True),
        ("192.0.2.7", False, "192.0.3.7", False),
        ("192.0.2.7", False, "2001:db8::7", False),
        ("2001:db8:1:2:3::4", False, "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2:3::4", False, "2001:db8:1:3::4", False),
        ("2001:db8:1:2:3::4", True, "2001:db8:1:2:3::5", False),
        ("192.0.2.7", False, "", False),
        ("192.0.2.7", False, "unknown", False),
        ("fe80::1", True, "fe80::1%eth0", True),
    ],
)
def test_where_a_bound_token_is_good(bound_to: str, exact: bool, address: str, good: bool) -> None:
    claims = dataclasses.replace(CLAIMS, network=network_of(bound_to, exact=exact))
    assert good_from(claims, address) is good


def test_a_token_that_is_not_bound_is_good_from_everywhere() -> None:
    assert good_from(CLAIMS, "")
