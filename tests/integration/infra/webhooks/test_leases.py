"""Deliveries whose dispatcher dies, and outcomes that the database does not take at once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from infra.outbox.catalogue import NoticeType
from infra.webhooks import deliveries as table
from infra.webhooks.deliveries import LEASE_MS
from infra.webhooks.dispatcher import Answered, WebhookDispatcher
from tests.integration.infra.webhooks.conftest import NOW_MS, Outbox
from tests.support.processes import until
from tests.support.receiver import Receiver

pytestmark = pytest.mark.integration
LIVE = NoticeType.EVENT_LIVE


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
    finish, tries, stored = WebhookDispatcher._finish, 0, asyncio.Event()

    async def away(self: WebhookDispatcher, batch: Sequence[Answered]) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionRefusedError("the database is away")
        await finish(self, batch)
        stored.set()

    monkeypatch.setattr(WebhookDispatcher, "_finish", away)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("delivered")
        # A stop between the commit and its answer would store it once more.
        await asyncio.wait_for(stored.wait(), 30)
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
