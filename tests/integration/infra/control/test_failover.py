"""Two Postgres servers, one following the other: all goes on with the one that takes writes."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infra.db.control import Organisation
from infra.db.engine import migrate
from infra.db.outage import is_outage
from tests.integration.infra.control.conftest import Deployment
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration
PATIENCE_S = 20.0

Pair = tuple[PostgresServer, PostgresServer]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return tmp_path / "certificate.pem"


@pytest.fixture
def servers(certificate: Path) -> Iterator[Pair]:
    """What is committed on the first is on the second as well. Both talk TLS."""
    primary = PostgresServer()
    primary.certify(certificate.parent)
    with primary, PostgresServer(follow=primary) as standby:
        tell(primary, "synchronous_standby_names = '*'")
        yield primary, standby


@pytest.fixture
def migrated_url(servers: Pair, certificate: Path) -> str:
    primary, standby = servers
    single = primary.create_database()
    migrate(single)
    here, there = f"127.0.0.1:{primary.port}", f"127.0.0.1:{standby.port}"
    both = single.replace(here, f"{here},{there}")
    return f"{both}?sslmode=verify-ca&sslrootcert={certificate}"


def tell(server: PostgresServer, setting: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


def demote(server: PostgresServer) -> None:
    """It answers on, and takes no writes; what it took waits for nobody."""
    tell(server, "synchronous_standby_names = ''")
    tell(server, "default_transaction_read_only = on")


async def create(api: httpx2.AsyncClient) -> httpx2.Response:
    return await api.post("/v1/events", json={"name": "x"})


async def created_again(api: httpx2.AsyncClient) -> httpx2.Response:
    """The first answer that is not 503."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = await create(api)
        if answer.status_code != 503:
            return answer
        assert answer.headers["Retry-After"]
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)


async def test_a_standby_takes_over_with_everything_that_was_acknowledged(
    api: httpx2.AsyncClient, servers: Pair
) -> None:
    primary, standby = servers
    made = [(await create(api)).json()["id"] for _ in range(3)]
    primary.stop()
    assert (await create(api)).status_code == 503
    standby.promote()
    made.append((await created_again(api)).json()["id"])
    listed = (await api.get("/v1/events")).json()["items"]
    assert {event["id"] for event in listed} == set(made)


async def test_a_server_that_takes_no_more_writes_is_left(
    api: httpx2.AsyncClient, servers: Pair, deployment: Deployment
) -> None:
    primary, standby = servers
    assert (await create(api)).status_code == 201
    add(deployment.engine, "before")
    assert encrypted(primary, deployment.url) == {True}
    demote(primary)
    assert (await create(api)).status_code == 503
    with pytest.raises(DBAPIError, match="read-only") as refused:
        add(deployment.engine, "lost")
    assert is_outage(refused.value)
    standby.promote()
    assert (await created_again(api)).status_code == 201
    add(deployment.engine, "after")
    assert encrypted(standby, deployment.url) == {True}
    with deployment.reading() as session:
        assert {"before", "after"} < set(session.scalars(select(Organisation.id)))


def add(engine: Engine, name: str) -> None:
    """As workers write."""
    with Session(engine) as session, session.begin():
        session.add(Organisation(id=name, name=name, created_ms=1))


def encrypted(server: PostgresServer, url: str) -> set[bool]:
    """Of the connections to the database: the API's and those of workers."""
    query = (
        "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.datname = %s"
    )
    with psycopg.connect(server.url("postgres")) as connection:
        rows = connection.execute(query, [urlsplit(url).path.removeprefix("/")]).fetchall()
    return {bool(ssl) for (ssl,) in rows}
