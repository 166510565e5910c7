"""Deliveries to real receivers: signed, repeated, given up, bounded, never to inner addresses."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, create_default_context
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Verifier

from infra.db.webhooks import Webhook
from infra.outbox.catalogue import NoticeType
from infra.webhooks import deliveries as table
from infra.webhooks import signing
from infra.webhooks.deliveries import LEASE_MS
from infra.webhooks.dispatcher import Answered, WebhookDispatcher
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.schedule import WINDOW_MS
from infra.webhooks.sending import EXCERPT_BYTES, Sender
from tests.integration.infra.webhooks.conftest import LOOPBACK, NOW_MS, SECRET, Outbox
from tests.support.certificates import certified
from tests.support.processes import until
from tests.support.receiver import OK, Received, Receiver, answer
from tests.support.valkey import free_port

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


async def test_an_answer_that_does_not_end_is_an_answer_all_the_same(
    outbox: Outbox, receiver: Receiver
) -> None:
    receiver.always(b"HTTP/1.1 200 X\r\nContent-Length: 9999999\r\n\r\n" + b"a" * 5_000)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("delivered")
    assert outbox.attempts()[0].excerpt == "a" * EXCERPT_BYTES


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (answer(302, Location="http://127.0.0.1:1/"), "redirects are not followed"),
        (answer(404), "answered 404"),
        (b"HTTP/9.9 nonsense\r\n\r\n", "Protocol"),
        (b"", "Error"),
    ],
)
async def test_what_is_no_success_is_told(
    outbox: Outbox, receiver: Receiver, reply: bytes, told: str
) -> None:
    receiver.always(reply)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert told in (outbox.attempts()[0].error or "")
    assert len(receiver.received) == 1


async def test_a_receiver_that_hangs_costs_its_own_time_only(
    outbox: Outbox, receiver: Receiver
) -> None:
    stuck = asyncio.Event()
    most: Counter[str] = Counter()

    async def hang(_request: Received) -> bytes:
        most["now"] += 1
        most["most"] = max(most["most"], most["now"])
        await stuck.wait()
        return OK

    receiver.answers = hang
    await outbox.hook(receiver.url, name="wh_slow")
    async with Receiver() as quick:
        await outbox.hook(quick.url, name="wh_quick")
        await outbox.note(*[LIVE] * 12)
        async with outbox.dispatching(per_endpoint=3):
            await until("the quick one has all", lambda: len(quick.received) == 12)
            assert most["most"] == 3
            stuck.set()
            await outbox.settled(*["delivered"] * 24)


async def test_no_answer_in_time_is_a_failure(outbox: Outbox, receiver: Receiver) -> None:
    stuck = asyncio.Event()

    async def hang(_request: Received) -> bytes:
        await stuck.wait()
        return OK

    receiver.answers = hang
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching(timeout_s=0.1):
        await outbox.settled("pending")
    assert outbox.attempts()[0].error == "no answer within 0.1 s"
    stuck.set()


async def test_a_lease_that_ran_out_is_taken_over_and_its_outcome_is_late(
    outbox: Outbox, receiver: Receiver
) -> None:
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching(attempts=0):
        await until("it is owed", lambda: bool(outbox.deliveries()))
    with Session(outbox.engine) as session, session.begin():
        [lost] = table.claim(session, "wh_1", NOW_MS, 10)
        assert table.claim(session, "wh_1", NOW_MS + LEASE_MS - 1, 10) == []
    outbox.now_ms += LEASE_MS
    async with outbox.dispatching():
        await outbox.settled("delivered")
    assert [got.id for got in receiver.received] == [lost.message]
    bad = table.Answer(1, error="it came too late")
    with Session(outbox.engine) as session, session.begin():
        assert table.finish(session, lost, bad, outbox.now_ms, 0.5) is table.Outcome.LATE
    assert [row.state for row in outbox.deliveries()] == ["delivered"]


async def test_an_inner_address_is_refused_at_every_delivery(
    outbox: Outbox, receiver: Receiver
) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    guard = Guard(Allowed(http=True, private=False), lambda _host, _port: answers.pop(0))
    await outbox.hook(f"http://rebinding.example:{receiver.port}/hook")
    await outbox.note(LIVE)
    async with outbox.dispatching(guard):
        await outbox.settled("pending")
    assert "loopback" in (outbox.attempts()[0].error or "")
    assert receiver.received == []


async def test_a_delivery_that_loses_its_lease_without_end_is_given_up(
    outbox: Outbox, receiver: Receiver
) -> None:
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching(attempts=0):
        await until("it is owed", lambda: bool(outbox.deliveries()))

    def killed(session: Session) -> int:
        outbox.now_ms += LEASE_MS
        return len(table.claim(session, "wh_1", outbox.now_ms, 10))

    taken = [await outbox.write(killed) for _ in range(table.MOST_ATTEMPTS + 1)]
    assert taken == [1] * table.MOST_ATTEMPTS + [0]
    assert [row.state for row in outbox.deliveries()] == ["failed"]


async def test_an_outcome_waits_for_the_database(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, tries = WebhookDispatcher._finish, 0

    async def away(self: WebhookDispatcher, batch: Sequence[Answered]) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionRefusedError("the database is away")
        await finish(self, batch)

    monkeypatch.setattr(WebhookDispatcher, "_finish", away)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("delivered")
    assert tries == 3
    assert len(receiver.received) == 1


async def test_an_outcome_that_cannot_be_stored_does_not_hold_up_others(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = table.finish

    def picky(session: Session, claim: table.Claim, *rest: Any) -> table.Outcome:
        if claim.webhook == "wh_bad":
            raise IntegrityError("statement", {}, ValueError("no"))
        return finish(session, claim, *rest)

    monkeypatch.setattr(table, "finish", picky)
    await outbox.hook(receiver.url, name="wh_bad")
    await outbox.hook(receiver.url, name="wh_good")
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await until("both are sent", lambda: len(receiver.received) == 2)
        await until(
            "the good one is stored",
            lambda: {row.state for row in outbox.deliveries()} == {"delivered", "pending"},
        )


async def test_a_port_that_nobody_listens_on(outbox: Outbox) -> None:
    await outbox.hook(f"http://127.0.0.1:{free_port()}/hook")
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert "ConnectError" in (outbox.attempts()[0].error or "")


async def test_what_breaks_the_client_is_a_failure_like_another(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def burst(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Sender, "_exchange", burst)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert outbox.attempts()[0].error == "the answer could not be read"


async def test_the_certificate_must_be_that_of_the_name(outbox: Outbox, tmp_path: Path) -> None:
    certificate = certified(tmp_path, "hooks.example")
    asked: list[str | None] = []
    serving = SSLContext(PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusted = create_default_context(cafile=str(certificate[0]))
    guard = Guard(LOOPBACK, lambda _host, _port: ["127.0.0.1"])
    async with Receiver(serving) as receiver:
        await outbox.hook(f"https://hooks.example:{receiver.port}/", "event.live")
        await outbox.hook(f"https://other.example:{receiver.port}/", "event.ended", name="wh_2")
        await outbox.note(LIVE, ENDED)
        async with outbox.dispatching(guard, trusted=trusted):
            await outbox.settled("delivered", "pending")
        assert sorted(filter(None, asked)) == ["hooks.example", "other.example"]
        assert [got.headers["host"] for got in receiver.received] == [
            f"hooks.example:{receiver.port}"
        ]
    assert "certificate" in (outbox.attempts()[-1].error or outbox.attempts()[0].error or "")


async def test_the_name_stays_in_host_when_the_connection_goes_to_its_address(
    outbox: Outbox, receiver: Receiver
) -> None:
    guard = Guard(LOOPBACK, lambda _host, _port: ["127.0.0.1"])
    await outbox.hook(f"http://hooks.example:{receiver.port}/in?x=1")
    await outbox.note(LIVE)
    async with outbox.dispatching(guard):
        await outbox.settled("delivered")
    [got] = receiver.received
    assert (got.path, got.headers["host"]) == ("/in?x=1", f"hooks.example:{receiver.port}")
