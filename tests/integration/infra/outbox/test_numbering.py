"""Numbers follow commits: a reader that goes on from a number misses nothing, on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.db.engine import sync_engine
from infra.db.outbox import OutboxHead, OutboxMessage
from infra.outbox.catalogue import NoticeType
from infra.outbox.numbering import number, owed
from infra.outbox.recording import Notice, record
from tests.support.databases import migrated_postgres
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration
NOW_MS = 1_900_000_000_000


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    made = sync_engine(migrated_url)
    yield made
    made.dispose()


@pytest.fixture
def on_postgres(postgres: PostgresServer) -> Iterator[Engine]:
    made = sync_engine(migrated_postgres(postgres))
    yield made
    made.dispose()


def note(session: Session, name: str, project: str = "acme", target: str | None = None) -> int:
    notice = Notice(project, "ev_1", NoticeType.EVENT_UPDATED, {"name": name})
    return record(session, notice, NOW_MS, target=target)


def numbered(engine: Engine, project: str = "acme", limit: int = 100) -> list[str]:
    """Number what is there; the names of the messages that got a number."""
    with Session(engine) as session, session.begin():
        return [row.data["name"] for row in number(session, project, limit)]


def behind(engine: Engine, sequence: int, project: str = "acme") -> list[tuple[int, str]]:
    """What a reader gets that has read up to `sequence`."""
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.project == project, OutboxMessage.sequence > sequence)
        .order_by(OutboxMessage.sequence)
    )
    with Session(engine) as session:
        return [(row.sequence or 0, row.data["name"]) for row in session.scalars(query)]


def test_messages_are_numbered_in_order_project_by_project(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        for name in ("a", "b", "c"):
            note(session, name)
        note(session, "theirs", "other")
        note(session, "a test", target="wh_1")
    with Session(engine) as session:
        assert set(owed(session, 10)) == {"acme", "other"}
    assert numbered(engine, limit=2) == ["a", "b"]
    assert numbered(engine) == ["c"]
    assert numbered(engine, "other") == ["theirs"]
    assert numbered(engine) == []
    assert behind(engine, 1) == [(2, "b"), (3, "c")]
    assert behind(engine, 0, "other") == [(1, "theirs")]
    with Session(engine) as session:
        assert owed(session, 10) == []
        assert session.get_one(OutboxHead, "acme").sequence == 3


def test_what_is_rolled_back_was_never_told(engine: Engine) -> None:
    with Session(engine) as session:
        note(session, "undone")
        session.rollback()
    with Session(engine) as session, session.begin():
        note(session, "done")
    assert numbered(engine) == ["done"]
    assert behind(engine, 0) == [(1, "done")]


def test_a_transaction_that_commits_late_is_not_missed(on_postgres: Engine) -> None:
    with Session(on_postgres) as slow, Session(on_postgres) as fast:
        earlier = note(slow, "late")
        # Neither waits for the other, and the lower position is not visible yet.
        later = note(fast, "early")
        assert earlier < later
        fast.commit()
        assert numbered(on_postgres) == ["early"]
        [(last, _)] = behind(on_postgres, 0)
        slow.commit()
    assert numbered(on_postgres) == ["late"]
    assert behind(on_postgres, last) == [(2, "late")]


def test_who_numbers_waits_for_who_numbers(on_postgres: Engine) -> None:
    with Session(on_postgres) as session, session.begin():
        note(session, "a")
    with Session(on_postgres) as first, Session(on_postgres) as second:
        assert len(number(first, "acme", 10)) == 1
        second.connection().exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            number(second, "acme", 10)
        second.rollback()
        first.commit()
        assert list(number(second, "acme", 10)) == []
