"""A Postgres that falls silent within a connection, as a host does that hangs: 503, then on."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from infra.control.dependencies import begun
from infra.db import engine as engines
from infra.db.engine import async_engine
from infra.db.outage import is_outage
from tests.integration.infra.control.conftest import Deployment
from tests.support.databases import migrated_postgres
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def migrated_url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of its own: an engine keeps the timeout that it was made with."""
    monkeypatch.setattr(engines, "COMMAND_TIMEOUT_S", 2.0)
    return f"{migrated_postgres(postgres)}?application_name=frozen"


def serving(url: str) -> list[int]:
    """The server processes of the database's connections."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        ).fetchall()
    return [pid for (pid,) in rows]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_requests_are_told_to_try_again(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    assert (await api.post("/v1/events", json={"name": "x"})).status_code == 201
    with frozen(*serving(deployment.url)):
        refused = await api.post("/v1/events", json={"name": "y"})
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:livepath:problem:unavailable"
    assert refused.headers["Retry-After"]
    assert (await api.post("/v1/events", json={"name": "z"})).status_code == 201
    names = [event["name"] for event in (await api.get("/v1/events")).json()["items"]]
    assert sorted(names) == ["x", "z"]


async def test_a_commit_without_an_answer_is_an_outage(deployment: Deployment) -> None:
    with ExitStack() as silent, pytest.raises(OperationalError) as told:
        async with begun(deployment.databases.writing) as session:
            silent.enter_context(frozen((await session.execute(PID)).scalar_one()))
    assert is_outage(told.value)


async def test_other_connections_are_kept(migrated_url: str) -> None:
    engine = async_engine(migrated_url)
    try:
        async with engine.connect() as silent, engine.connect() as well:
            kept = (await well.execute(PID)).scalar_one()
            pid = (await silent.execute(PID)).scalar_one()
            with frozen(pid), pytest.raises(OperationalError):
                await silent.execute(PID)
        async with engine.connect() as one, engine.connect() as other:
            found = {(await each.execute(PID)).scalar_one() for each in (one, other)}
        assert kept in found
        assert pid not in found
    finally:
        await engine.dispose()
