"""Migrations of a Postgres that others read and write meanwhile."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from infra.db import online
from infra.db.engine import downgrade, migrate
from infra.errors import MigrationBlocked
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration
INDEXES = {
    "ix_jobs_project_created_ms_id",
    "ix_events_state_project_created_ms_id",
    "ix_events_start",
    "ix_events_updated_ms",
    "ix_facts_at_ms",
}
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
FACT = (
    "INSERT INTO facts (id, project, event, type, at_ms, detail)"
    " VALUES (%s, 'p', 'e', 't', 1, '{}')"
)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    made = postgres.create_database()
    migrate(made)
    return made


@pytest.fixture
def other(url: str) -> Iterator[psycopg.Connection]:
    """Of somebody who is in the way."""
    with psycopg.connect(url) as connection:
        yield connection


@pytest.fixture
def looking(url: str) -> Iterator[psycopg.Connection]:
    """One whose statements fail when they are held up for long."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '20s'")
        yield connection


@contextmanager
def beside(other: psycopg.Connection, work: Callable[[], None]) -> Iterator[Future[None]]:
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work)
        finally:
            # A test that fails does not wait for ever.
            other.rollback()


def until_waiting(looking: psycopg.Connection, statement: str, running: Future[None]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if looking.execute(WAITS, (statement,)).fetchone() != (0,):
            return
        if running.done():
            running.result()
            raise AssertionError(f"{statement} did not wait")
        time.sleep(0.005)
    raise AssertionError(f"{statement} does not begin")


def version(looking: psycopg.Connection) -> str:
    (found,) = looking.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    return str(found)


def indexes(looking: psycopg.Connection) -> dict[str, bool]:
    """Those of the revision that there are, and whether they are valid."""
    query = (
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE relname = ANY(%s)"
    )
    return dict(looking.execute(query, (sorted(INDEXES),)).fetchall())


def test_who_waits_for_a_lock_lets_others_through(
    url: str,
    other: psycopg.Connection,
    looking: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    downgrade(url, "0019")
    monkeypatch.setattr(online, "LOCK_S", 0.5)
    monkeypatch.setattr(online, "PAUSE_S", 0.01)
    monkeypatch.setattr(online, "TRIES", 1_000)
    other.execute("SELECT count(*) FROM events")
    with beside(other, lambda: migrate(url)) as running:
        for _ in range(2):
            until_waiting(looking, "ALTER TABLE events%", running)
            # Both wait behind the change of the table, and the reader in its way does not end.
            looking.execute("SELECT count(*) FROM events")
            looking.execute("UPDATE events SET updated_ms = 0")
        assert version(looking) == "0019"
        other.commit()
        running.result(timeout=60)
    assert version(looking) == "0021"


def test_who_cannot_get_a_lock_says_so(
    url: str,
    other: psycopg.Connection,
    looking: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    downgrade(url, "0018")
    monkeypatch.setattr(online, "LOCK_S", 0.1)
    monkeypatch.setattr(online, "PAUSE_S", 0.01)
    monkeypatch.setattr(online, "TRIES", 3)
    other.execute("SELECT count(*) FROM events")
    with pytest.raises(
        MigrationBlocked, match=r"3 times .* 'ALTER TABLE events .*pg_stat_activity"
    ):
        migrate(url)
    # The revision before was a transaction of its own.
    assert version(looking) == "0019"
    other.commit()
    migrate(url)
    assert version(looking) == "0021"


def test_indexes_are_built_while_writers_write(
    url: str, other: psycopg.Connection, looking: psycopg.Connection
) -> None:
    downgrade(url, "0020")
    assert indexes(looking) == {}
    other.execute(FACT, ("before",))
    with beside(other, lambda: migrate(url)) as running:
        until_waiting(looking, "CREATE INDEX CONCURRENTLY%ix_facts_at_ms%", running)
        # A build that is not concurrent would keep it waiting.
        looking.execute("SET lock_timeout = '1s'")
        looking.execute(FACT, ("meanwhile",))
        other.commit()
        running.result(timeout=60)
    assert indexes(looking) == dict.fromkeys(INDEXES, True)
    assert looking.execute("SELECT count(*) FROM facts").fetchone() == (2,)


def test_what_is_left_of_a_build_that_failed_is_built_again(
    url: str,
    other: psycopg.Connection,
    looking: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    downgrade(url, "0020")
    other.execute(FACT, ("before",))
    with monkeypatch.context() as patch:
        patch.setattr(online, "BUILD_LOCK_S", 0.1)
        patch.setattr(online, "TRIES", 1)
        with pytest.raises(MigrationBlocked, match="ix_facts_at_ms"):
            migrate(url)
    assert indexes(looking) == dict.fromkeys(INDEXES, True) | {"ix_facts_at_ms": False}
    assert version(looking) == "0020"
    other.commit()
    migrate(url)
    assert indexes(looking) == dict.fromkeys(INDEXES, True)
    assert version(looking) == "0021"


def test_starters_wait_for_one_whose_build_takes_long(
    url: str, other: psycopg.Connection, looking: psycopg.Connection
) -> None:
    downgrade(url, "0020")
    other.execute(FACT, ("before",))
    with ThreadPoolExecutor(1) as pool, psycopg.connect(url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (online.LOCK,))
        running = pool.submit(migrate, url)
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_adv%'"
        while looking.execute(asked).fetchone() == (0,):
            time.sleep(0.005)
        # Nothing of who waits is under way, so a concurrent build does not wait for it.
        other.commit()
        holder.execute("CREATE INDEX CONCURRENTLY ix_made_meanwhile ON facts (at_ms)")
        assert version(looking) == "0020"
        holder.execute("SELECT pg_advisory_unlock(%s)", (online.LOCK,))
        running.result(timeout=60)
    assert version(looking) == "0021"
