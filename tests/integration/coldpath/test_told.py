"""Jobs that are over, and what they made, are recorded as public events."""

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from coldpath.deliveries import Deliveries
from coldpath.errors import LeaseLost
from coldpath.ledger import Ledger
from coldpath.records import JobResult, NewAsset, asset_id
from infra.db.outbox import OutboxMessage
from infra.jobs.states import JobState
from infra.lifecycle import EventState, Trigger
from tests.integration.coldpath.conftest import Clock
from tests.support.ledgers import LEASE_MS, add_event, leased

pytestmark = pytest.mark.integration
KEY = "vod/p/ev_1/main/c0ffee/archive.mp4"


def told(engine: Engine) -> list[OutboxMessage]:
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.position)))


def test_a_success_tells_of_the_job_its_assets_and_the_event(
    engine: Engine, ledger: Ledger
) -> None:
    add_event(engine, EventState.ENDED)
    lease = leased(ledger, max_attempts=1)
    film = NewAsset("mp4", KEY, "video/mp4", 5, 4000, {"frames": 100})
    result = JobResult({"keys": [KEY]}, [film], Trigger.ARCHIVE_READY)
    ledger.succeed(lease, result, {"wall_ms": 12})
    job, asset, event = told(engine)
    assert (job.type, job.project, job.event) == ("job.succeeded", "p", "ev_1")
    assert job.data == {"job": lease.job, "function": "archive", "cost": {"wall_ms": 12}}
    assert asset.type == "asset.ready"
    assert asset.data == {
        "asset": asset_id(KEY), "kind": "mp4", "key": KEY, "content_type": "video/mp4",
        "bytes": 5, "duration_ms": 4000, "job": lease.job,
    }  # fmt: skip
    assert (event.type, event.data["previous"]) == ("event.archived", "ended")


def test_work_that_recurs_while_an_event_is_live_is_told_by_its_assets_alone(
    engine: Engine, ledger: Ledger
) -> None:
    lease = leased(ledger, name="source/s5.m4s")
    poster = NewAsset("poster-live", "work/p/ev_1/main/i1/poster/p5.jpg", "image/jpeg", 5, None, {})
    ledger.succeed(lease, JobResult(assets=[poster]), {})
    assert [row.type for row in told(engine)] == ["asset.ready"]


def test_a_zombie_tells_nothing(engine: Engine, ledger: Ledger, clock: Clock) -> None:
    zombie = leased(ledger, max_attempts=3)
    clock.now += LEASE_MS + 1
    assert ledger.lease(zombie.job, "w2/1") is not None
    with pytest.raises(LeaseLost):
        ledger.succeed(zombie, JobResult(), {})
    assert told(engine) == []


def test_only_the_failure_that_is_the_last_is_told(engine: Engine, ledger: Ledger) -> None:
    lease = leased(ledger, max_attempts=2)
    assert ledger.fail(lease, "first", delay_ms=0) is JobState.RETRYING
    assert told(engine) == []
    again = ledger.lease(lease.job, "w1/10")
    assert again is not None
    assert ledger.fail(again, "x" * 900) is JobState.DEAD
    [dead] = told(engine)
    assert (dead.type, dead.data["error"]) == ("job.dead", "x" * 500)


def test_a_job_whose_worker_died_last_is_told_as_dead(
    engine: Engine, ledger: Ledger, clock: Clock
) -> None:
    lease = leased(ledger, max_attempts=1)
    clock.now += LEASE_MS + 1
    Deliveries(engine, clock=clock).release_expired(10)
    [dead] = told(engine)
    assert dead.type == "job.dead"
    assert dead.data["job"] == lease.job
