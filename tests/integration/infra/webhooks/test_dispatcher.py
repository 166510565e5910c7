"""Deliveries to real receivers: signed, repeated with the same id, given up, told of."""

import json

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook as Verifier

from infra.db.webhooks import Webhook
from infra.outbox.catalogue import NoticeType
from infra.webhooks import signing
from infra.webhooks.schedule import WINDOW_MS
from tests.integration.infra.webhooks.conftest import NOW_MS, SECRET, Outbox
from tests.support.processes import until
from tests.support.receiver import OK, Receiver, answer

pytestmark = pytest.mark.integration
LIVE, ENDED, DEAD = NoticeType.EVENT_LIVE, NoticeType.EVENT_ENDED, NoticeType.JOB_DEAD
HOUR = 3_600_000


async def test_a_delivery_is_the_message_signed(outbox: Outbox, receiver: Receiver) -> None:
    await outbox.hook(receiver.url, "event.*")
    await outbox.hook(receiver.url, "*", name="wh_theirs", project="other")
    await outbox.hook(receiver.url, "*", name="wh_off", enabled=False)
    await outbox.note(LIVE, DEAD, ENDED)
    async with outbox.dispatching():
        await outbox.settled("delivered", "delivered")
    assert [json.loads(got.body)["type"] for got in receiver.received] == [LIVE, ENDED]
    first = receiver.received[0]
    message = outbox.messages()[0]
    assert first.id == message.id
    assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["webhook-timestamp"] == str(NOW_MS // 1000)
    expected = signing.signature(SECRET, message.id, NOW_MS // 1000, first.body)
    assert first.headers["webhook-signature"] == expected
    [one, _] = outbox.attempts()
    assert (one.status, one.error, one.number) == (204, None, 1)
    assert [row.sequence for row in outbox.messages()] == [1, 2, 3]


async def test_both_secrets_sign_until_the_old_one_ends(outbox: Outbox, receiver: Receiver) -> None:
    old = signing.secret_of(b"o" * 32)
    await outbox.hook(receiver.url, old_secret=old, old_until_ms=NOW_MS + 1000)
    async with outbox.dispatching():
        await outbox.note(LIVE)
        await outbox.settled("delivered")
        outbox.now_ms += 1000
        await outbox.note(ENDED)
        await outbox.settled("delivered", "delivered")
    during, after = (got.headers["webhook-signature"] for got in receiver.received)
    assert during.count("v1,") == 2
    assert after.count("v1,") == 1


async def test_the_library_of_the_specification_takes_what_arrives(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("delivered")
    [got] = receiver.received
    # The library compares the time with the machine's clock; ours is set by the test.
    monkeypatch.setattr(Verifier, "_Webhook__verify_timestamp", _trusting)
    assert Verifier(SECRET).verify(got.body, got.headers)["type"] == "event.live"


def _trusting(_self: Verifier, header: str) -> object:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(float(header), tz=UTC)


async def test_a_failure_is_repeated_with_the_same_id(outbox: Outbox, receiver: Receiver) -> None:
    receiver.always(answer(500, b"down for \x00 lunch"))
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
        [row] = outbox.deliveries()
        assert 4_000 <= (row.next_attempt_ms or 0) - NOW_MS <= 6_000
        assert outbox.webhook().failing_since_ms == NOW_MS
        receiver.always(OK)
        outbox.now_ms += 6_000
        await outbox.settled("delivered")
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    failed, good = outbox.attempts()
    assert (failed.status, failed.error) == (500, "answered 500")
    assert failed.excerpt == "down for \N{REPLACEMENT CHARACTER} lunch"
    assert good.number == 2
    assert outbox.webhook().failing_since_ms is None


async def test_an_endpoint_may_ask_for_a_pause(outbox: Outbox, receiver: Receiver) -> None:
    receiver.always(answer(429, Retry_After="3600"))
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    [row] = outbox.deliveries()
    assert row.next_attempt_ms == NOW_MS + HOUR


async def test_an_endpoint_that_is_gone_is_disabled(outbox: Outbox, receiver: Receiver) -> None:
    receiver.always(answer(410))
    await outbox.hook(receiver.url, "event.live")
    async with Receiver() as watching:
        await outbox.hook(watching.url, "webhook.*", name="wh_2")
        await outbox.note(LIVE)
        async with outbox.dispatching():
            await outbox.settled("failed", "delivered")
        [told] = [json.loads(got.body) for got in watching.received]
    assert told["type"] == "webhook.disabled"
    assert (told["event"], told["data"]["webhook"]) == (None, "wh_1")
    assert "410" in told["data"]["reason"]
    hook = outbox.webhook()
    assert not hook.enabled
    assert hook.disabled_reason == told["data"]["reason"]
    assert outbox.webhook("wh_2").enabled


async def test_an_endpoint_that_fails_for_a_day_is_disabled(
    outbox: Outbox, receiver: Receiver
) -> None:
    receiver.always(answer(503))
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        while outbox.now_ms < NOW_MS + WINDOW_MS:
            await outbox.settled("pending")
            outbox.now_ms = outbox.deliveries()[0].next_attempt_ms or 0
        # Of two messages the second is the notice, which has nobody to go to.
        await outbox.settled("failed")
    assert len(receiver.received) == 8
    assert len({got.id for got in receiver.received}) == 1
    assert not outbox.webhook().enabled
    assert outbox.messages()[-1].type == "webhook.disabled"


async def test_what_waits_for_a_disabled_endpoint_goes_on_when_it_is_enabled(
    outbox: Outbox, receiver: Receiver
) -> None:
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    receiver.always(answer(500))
    async with outbox.dispatching():
        await outbox.settled("pending")
        await outbox.write(lambda session: session.execute(update(Webhook).values(enabled=False)))
        await outbox.note(ENDED)
        outbox.now_ms += HOUR
        await until("the second is numbered", lambda: outbox.messages()[1].sequence == 2)
        assert len(receiver.received) == 1
        receiver.always(OK)
        await outbox.write(lambda session: session.execute(update(Webhook).values(enabled=True)))
        await outbox.settled("delivered")
    assert len(outbox.deliveries()) == 1
