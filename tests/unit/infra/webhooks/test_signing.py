"""Signatures are those of Standard Webhooks: its own vector, and its own Python library."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from infra.webhooks.signing import SECRET_BYTES, headers, secret_of, signature

BODY = '{"type":"event.live","data":{"name":"Größe"}}'.encode()


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())


def test_the_vector_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_of_the_specification_verifies_what_we_send() -> None:
    secret = secret_of(bytes(range(SECRET_BYTES)))
    sent = dict(headers([secret], "msg_1", now_s(), BODY))
    assert Webhook(secret).verify(BODY, sent)["type"] == "event.live"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", sent)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, sent | {"webhook-id": "msg_2"})


def test_both_secrets_sign_while_one_is_replaced() -> None:
    new, old, other = (secret_of(bytes([n]) * SECRET_BYTES) for n in (1, 2, 3))
    sent = dict(headers([new, old], "msg_1", now_s(), BODY))
    assert len(sent["webhook-signature"].split(" ")) == 2
    for good in (new, old):
        Webhook(good).verify(BODY, sent)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, sent)


def test_a_secret_is_shown_as_the_specification_says() -> None:
    secret = secret_of(b"k" * SECRET_BYTES)
    assert secret.startswith("whsec_")
    assert base64.b64decode(secret.removeprefix("whsec_"), validate=True) == b"k" * SECRET_BYTES
