"""What waits for workers, on SQLite and on Postgres."""

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from coldpath.backlog import SAMPLE, Backlog, backlog
from coldpath.deliveries import Deliveries
from coldpath.ledger import Ledger
from coldpath.records import JobResult
from infra.db.jobs import Job
from infra.jobs.filing import JobRequest, requested
from infra.keys import ProgramKey
from tests.integration.coldpath.conftest import Clock

pytestmark = pytest.mark.integration


@pytest.fixture
def ledger(engine: Engine, clock: Clock) -> Ledger:
    return Ledger(engine, clock=clock)


def request(number: int, function: str = "clip", queue: str = "fast") -> JobRequest:
    program, params = ProgramKey("p", "ev_1"), {"number": number}
    return requested(function, program, params, queue=queue, max_attempts=3, timeout_s=60)


def succeed(ledger: Ledger, job: JobRequest, cpu_ms: int) -> None:
    ledger.file([job])
    lease = ledger.lease(job.id, "w/1")
    assert lease is not None
    ledger.succeed(lease, JobResult(), {"cpu_ms": cpu_ms})


def test_a_queue_in_which_nothing_waits_is_told_of(engine: Engine, clock: Clock) -> None:
    assert backlog(engine, ["fast", "bulk"], clock=clock) == {"bulk": Backlog(), "fast": Backlog()}


def test_what_waits_is_counted_by_queue(engine: Engine, ledger: Ledger, clock: Clock) -> None:
    ledger.file([request(1), request(2)])
    clock.now += 2_500
    ledger.file([request(3), request(4, "archive", "bulk")])
    assert ledger.lease(request(2).id, "w/1") is not None
    clock.now += 500
    assert backlog(engine, ["fast"], clock=clock) == {
        "bulk": Backlog(waiting=1, oldest_s=0.5),
        "fast": Backlog(waiting=2, running=1, oldest_s=3.0),
    }


def test_a_sent_delivery_makes_a_job_no_younger(
    engine: Engine, ledger: Ledger, clock: Clock
) -> None:
    ledger.file([request(1)])
    clock.now += 4_000
    Deliveries(engine, clock=clock).sent([request(1).id])
    assert backlog(engine, [], clock=clock)["fast"].oldest_s == 4.0


def test_a_retry_waits_from_when_it_is_due(engine: Engine, ledger: Ledger, clock: Clock) -> None:
    ledger.file([request(1)])
    lease = ledger.lease(request(1).id, "w/1")
    assert lease is not None
    ledger.fail(lease, "no", delay_ms=1_000)
    assert backlog(engine, ["fast"], clock=clock)["fast"] == Backlog()
    clock.now += 1_000
    Deliveries(engine, clock=clock).requeue_due(10)
    clock.now += 250
    assert backlog(engine, [], clock=clock)["fast"] == Backlog(waiting=1, oldest_s=0.25)


def test_work_is_what_such_jobs_took_last(engine: Engine, ledger: Ledger, clock: Clock) -> None:
    succeed(ledger, request(0), 90_000)  # too long ago to count
    for number in range(SAMPLE):
        clock.now += 1
        succeed(ledger, request(100 + number), 1_000 if number % 2 else 3_000)
    succeed(ledger, request(1, "archive", "bulk"), 50_000)
    ledger.file([request(1), request(2), request(3, "new")])
    assert backlog(engine, [], clock=clock)["fast"].work_s == pytest.approx(4.0)


def test_a_success_without_a_cost_counts_as_nothing(
    engine: Engine, ledger: Ledger, clock: Clock
) -> None:
    succeed(ledger, request(0), 500)
    with Session(engine) as session, session.begin():
        session.execute(update(Job).values(cost={}))
    ledger.file([request(1)])
    assert backlog(engine, [], clock=clock)["fast"].work_s == 0.0
