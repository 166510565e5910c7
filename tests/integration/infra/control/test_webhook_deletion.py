"""Webhooks that are deleted while something is about to be owed to them, and long logs."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, TypeVar

import httpx2
import psycopg
import pytest
from sqlalchemy import select

from infra.control import webhooks
from infra.db.audit import AuditEntry
from infra.db.webhooks import Webhook, WebhookDelivery
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record
from infra.outbox.relay import Relay
from infra.webhooks.deliveries import owe
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_delivery
from tests.support.databases import migrated_postgres
from tests.support.postgres import PostgresServer
from tests.support.processes import until

pytestmark = pytest.mark.integration
PATH = "/v1/webhooks"
SINCE, UNTIL = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"
R = TypeVar("R")


async def create(api: httpx2.AsyncClient) -> str:
    made = await api.post(PATH, json={"url": "https://hooks.example/livepath"})
    return str(made.json()["id"])


def waiting(url: str) -> Callable[[], bool]:
    """Whether a transaction of the database waits for another one."""

    def found() -> bool:
        with closing(psycopg.connect(url)) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return connection.execute(query).fetchone() == (1,)

    return found


async def while_it_is_deleted(
    deployment: Deployment, webhook: str, work: Coroutine[Any, Any, R]
) -> R:
    """What comes of work that meets the open transaction that deletes the webhook."""
    with deployment.session() as session:
        session.delete(session.get_one(Webhook, webhook, with_for_update=True))
        session.flush()
        working = asyncio.create_task(work)
        await until("the work waits for the deletion", waiting(deployment.url))
        session.commit()
    return await working


class TestOnPostgres:
    @pytest.fixture
    def migrated_url(self, postgres: PostgresServer) -> str:
        return migrated_postgres(postgres)

    async def test_the_relay_goes_on_with_the_others(
        self, api: httpx2.AsyncClient, deployment: Deployment
    ) -> None:
        gone, kept = [await create(api) for _ in range(2)]
        with deployment.session() as session, session.begin():
            record(session, Notice("default", "ev_1", NoticeType.EVENT_LIVE, {}), 1)
        reading, writing = deployment.databases.reading, deployment.databases.writing
        relay = Relay(writing, reading, owe, lambda: None, deployment.clock)
        assert await while_it_is_deleted(deployment, gone, relay.step()) == 1
        with deployment.reading() as session:
            assert session.scalars(select(WebhookDelivery.webhook)).all() == [kept]

    @pytest.mark.parametrize("order", ["test", "deliveries/{}/replay", "replay"])
    async def test_what_is_to_be_sent_to_it_is_refused(
        self, api: httpx2.AsyncClient, deployment: Deployment, order: str
    ) -> None:
        hook = await create(api)
        sent = add_delivery(deployment, hook)
        with deployment.session() as session, session.begin():
            session.get_one(WebhookDelivery, sent).state = "failed"
        wanted = {"since": SINCE, "until": UNTIL} if order == "replay" else None
        path = f"{PATH}/{hook}/{order.format(sent)}"
        refused = await while_it_is_deleted(deployment, hook, api.post(path, json=wanted))
        assert refused.status_code == 404, refused.text


async def test_a_long_log_goes_in_parts(
    api: httpx2.AsyncClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "EMPTIED", 2)
    taken, empty = [], webhooks.WebhookService.empty

    async def counting(self: webhooks.WebhookService, webhook: str) -> bool:
        taken.append(webhook)
        return await empty(self, webhook)

    monkeypatch.setattr(webhooks.WebhookService, "empty", counting)
    gone, kept = [await create(api) for _ in range(2)]
    for _ in range(5):
        add_delivery(deployment, gone)
    left = add_delivery(deployment, kept)
    assert (await api.delete(f"{PATH}/{gone}")).status_code == 204
    assert taken == [gone] * 3
    assert (await api.get(f"{PATH}/{gone}")).status_code == 404
    assert (await api.delete(f"{PATH}/{gone}")).status_code == 404
    await deployment.settle()
    with deployment.reading() as session:
        assert session.scalars(select(WebhookDelivery.id)).all() == [left]
        deeds = select(AuditEntry.status).where(AuditEntry.operation.like("delete_webhook_%"))
        assert sorted(session.scalars(deeds)) == [204, 404]


async def test_a_deletion_that_was_cut_short_leaves_nothing_that_sends(
    api: httpx2.AsyncClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await create(api)
    add_delivery(deployment, hook)

    async def cut_short(*_: object) -> None:
        raise ConnectionError("the process was killed")

    with monkeypatch.context() as patched:
        patched.setattr(webhooks.WebhookService, "delete", cut_short)
        with pytest.raises(ConnectionError):
            await api.delete(f"{PATH}/{hook}")
    shown = (await api.get(f"{PATH}/{hook}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "it is being deleted")
    assert (await api.delete(f"{PATH}/{hook}")).status_code == 204
