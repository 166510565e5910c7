"""Webhooks are believed only with a good signature, made lately."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.client import BadSignature, verify
from infra.webhooks import signing

# Those of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = 1614265330
SPECIFIED = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

BODY = json.dumps(
    {"id": ID, "type": "event.live", "event": "ev_1", "data": {"state": "live"}, "later": 1}
).encode()
OTHER = signing.secret_of(b"o" * 32)


def headers(body: bytes = BODY, *secrets: str, sent: int = SENT) -> dict[str, str]:
    return dict(signing.headers(secrets or (SECRET,), ID, sent, body))


def test_the_vector_of_the_specification() -> None:
    given = {"webhook-id": ID, "webhook-timestamp": str(SENT), "webhook-signature": SIGNATURE}
    # It is signed, and then it is no message of this API.
    with pytest.raises(BadSignature, match="signed and is no message"):
        verify(SPECIFIED, given, SECRET, SENT)
    with pytest.raises(BadSignature, match="none of the signatures"):
        verify(SPECIFIED + b" ", given, SECRET, SENT)


def test_a_good_one_is_read() -> None:
    message = verify(BODY, headers(), SECRET, SENT + 10)
    assert (message.type, message.event, message.data) == ("event.live", "ev_1", {"state": "live"})
    assert message.model_extra == {"later": 1}


def test_names_of_headers_come_in_any_case_and_bodies_as_text() -> None:
    shouted = {name.title(): value for name, value in headers().items()}
    assert verify(BODY.decode(), shouted, [SECRET], SENT).id == ID


def test_either_secret_of_a_rotation_will_do_on_either_side() -> None:
    both = headers(BODY, OTHER, SECRET)
    assert verify(BODY, both, SECRET, SENT).id == ID
    assert verify(BODY, both, OTHER, SENT).id == ID
    assert verify(BODY, headers(), [OTHER, SECRET], SENT).id == ID
    with pytest.raises(BadSignature):
        verify(BODY, headers(), OTHER, SENT)
    with pytest.raises(BadSignature):
        verify(BODY, headers(), [], SENT)


@pytest.mark.parametrize("off", [-301, 301])
def test_old_and_future_ones_are_refused(off: int) -> None:
    with pytest.raises(BadSignature, match="more than 300 s"):
        verify(BODY, headers(), SECRET, SENT + off)
    assert verify(BODY, headers(), SECRET, SENT + off, tolerance_s=400).id == ID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_other"),
        ("webhook-timestamp", str(SENT + 1)),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", "²"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,not base64"),
        ("webhook-signature", "v1,é"),
        ("webhook-signature", "v1a," + SIGNATURE.removeprefix("v1,")),
    ],
)
def test_a_changed_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, headers() | {name: value}, SECRET, SENT)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    given = {one: value for one, value in headers().items() if one != name}
    with pytest.raises(BadSignature, match=name):
        verify(BODY, given, SECRET, SENT)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_!!", "whsec_abc"])
def test_a_secret_that_is_none_is_a_mistake_of_this_side(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret is"):
        verify(BODY, headers(), secret, SENT)


@settings(deadline=None)
@given(flipped=st.integers(0, len(BODY) * 8 - 1))
def test_no_bit_of_the_body_can_change(flipped: int) -> None:
    changed = bytearray(BODY)
    changed[flipped // 8] ^= 1 << flipped % 8
    with pytest.raises(BadSignature, match="none of the signatures"):
        verify(bytes(changed), headers(), SECRET, SENT)


def test_a_good_signature_may_stand_behind_others() -> None:
    bad = "v1," + base64.b64encode(b"x" * 32).decode()
    given = headers() | {"webhook-signature": f"v2,x {bad} {headers()['webhook-signature']}"}
    assert verify(BODY, given, SECRET, SENT).id == ID
