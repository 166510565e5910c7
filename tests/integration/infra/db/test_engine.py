"""Writers wait for each other, readers for nobody, on both databases."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from infra.control.bootstrap import bootstrap
from infra.db.control import Event, Project
from infra.db.engine import READ_ONLY, sync_engine
from infra.db.events_state import advance_event
from infra.errors import ConfigurationError, IllegalTransition, UnknownEvent
from infra.lifecycle import ACTORS, Actor, EventState, Trigger

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    made = sync_engine(migrated_url)
    bootstrap(made, None, 1)
    with Session(made) as session, session.begin():
        session.add(
            Event(
                id="ev_1",
                project="default",
                name="x",
                access="public",
                kid="k1",
                created_ms=1,
                updated_ms=1,
            )
        )
    yield made
    made.dispose()


def apply(engine: Engine, trigger: Trigger, now_ms: int) -> EventState:
    with Session(engine) as session, session.begin():
        return advance_event(session, "ev_1", trigger, now_ms, by=min(ACTORS[trigger]))


def stored(engine: Engine) -> Event:
    with Session(engine.execution_options(**READ_ONLY), expire_on_commit=False) as session:
        return session.get_one(Event, "ev_1")


def test_states_keep_their_times_and_tell_media_when_the_event_closes(engine: Engine) -> None:
    assert apply(engine, Trigger.PROGRAM_LIVE, 10) is EventState.LIVE
    assert apply(engine, Trigger.PUBLISHER_LOST, 20) is EventState.RECONNECTING
    assert apply(engine, Trigger.PROGRAM_LIVE, 30) is EventState.LIVE
    assert stored(engine).revision == 1
    assert apply(engine, Trigger.END, 40) is EventState.ENDED
    assert apply(engine, Trigger.PROGRAM_ENDED, 50) is EventState.ENDED
    assert apply(engine, Trigger.ARCHIVE_READY, 60) is EventState.ARCHIVED
    row = stored(engine)
    assert (row.started_ms, row.ended_ms, row.updated_ms, row.revision) == (10, 40, 60, 2)


def test_an_illegal_trigger_changes_nothing(engine: Engine) -> None:
    with pytest.raises(IllegalTransition):
        apply(engine, Trigger.ARCHIVE_READY, 10)
    row = stored(engine)
    assert (row.state, row.updated_ms, row.revision) == ("scheduled", 1, 1)


def test_an_unknown_event_is_said_to_be_unknown(engine: Engine) -> None:
    with Session(engine) as session, session.begin(), pytest.raises(UnknownEvent, match="ev_2"):
        advance_event(session, "ev_2", Trigger.END, 1, by=Actor.API)


def test_of_racing_ends_one_counts(engine: Engine) -> None:
    apply(engine, Trigger.PROGRAM_LIVE, 1)
    with ThreadPoolExecutor(4) as pool:
        triggers = [Trigger.END, Trigger.PROGRAM_ENDED, Trigger.PUBLISHER_LOST]
        moves = [pool.submit(apply, engine, one, 100 + n) for n, one in enumerate(triggers)]
        for move in moves:
            # END is legal once only; a late one is told so.
            if not isinstance(move.exception(), IllegalTransition):
                move.result()
    row = stored(engine)
    assert (row.state, row.revision) == ("ended", 2)


def test_writers_side_by_side_lose_no_update(engine: Engine) -> None:
    def write() -> None:
        for _ in range(25):
            with Session(engine) as session, session.begin():
                # Read first, then write: what a deferred BEGIN would fail at.
                session.get_one(Project, "default")
                session.execute(update(Project).values(revision=Project.revision + 1))

    with ThreadPoolExecutor(4) as pool:
        for writer in [pool.submit(write) for _ in range(4)]:
            writer.result()
    with Session(engine) as session:
        assert session.get_one(Project, "default").revision == 101


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    seen: list[str] = []
    with Session(engine) as writer, writer.begin():
        writer.get_one(Event, "ev_1").name = "changed"
        writer.flush()
        reader = threading.Thread(target=lambda: seen.append(stored(engine).name))
        reader.start()
        reader.join(timeout=30)
        assert seen == ["x"]
    assert stored(engine).name == "changed"


@pytest.mark.parametrize("url", ["mysql://h/n", "sqlite://", "sqlite:///:memory:", "what", ""])
def test_a_url_that_cannot_be_used_says_which_can(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite"):
        sync_engine(url)
