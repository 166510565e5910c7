"""What the broker is owed, on SQLite and on Postgres, with a clock in the test's hand."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from coldpath.deliveries import Deliveries, Delivery
from coldpath.ledger import Ledger
from coldpath.records import JobResult
from infra.lifecycle import EventState
from tests.integration.coldpath.conftest import Clock
from tests.support.ledgers import JOB, add_event, request

pytestmark = pytest.mark.integration

QUEUES = ["bulk"]


def test_a_filed_job_is_owed_until_it_was_sent(ledger: Ledger, deliveries: Deliveries) -> None:
    ledger.file([request()])
    assert deliveries.owed(10) == [Delivery(JOB, "bulk")]
    deliveries.sent([JOB])
    assert deliveries.owed(10) == []


def test_a_lost_delivery_is_owed_again_after_a_grace(
    ledger: Ledger, deliveries: Deliveries, clock: Clock
) -> None:
    ledger.file([request(), request(2)])
    deliveries.sent([JOB, request(2).id])
    assert deliveries.forget_lost(set(), QUEUES, 5_000) == []
    clock.now += 5_001
    assert deliveries.forget_lost({request(2).id}, QUEUES, 5_000) == [JOB]
    assert deliveries.owed(10) == [Delivery(JOB, "bulk")]


def test_a_delivery_in_a_queue_that_nobody_looked_at_is_not_lost(
    ledger: Ledger, deliveries: Deliveries, clock: Clock
) -> None:
    ledger.file([request()])
    deliveries.sent([JOB])
    clock.now += 5_001
    assert deliveries.forget_lost(set(), ["gpu"], 5_000) == []
    assert deliveries.owed(10) == []


def test_a_job_in_work_has_no_lost_delivery(
    ledger: Ledger, deliveries: Deliveries, clock: Clock
) -> None:
    ledger.file([request()])
    deliveries.sent([JOB])
    ledger.lease(JOB, "w1/1")
    clock.now += 60_000
    assert deliveries.forget_lost(set(), QUEUES, 5_000) == []


def test_events_without_archive_are_named(deliveries: Deliveries, engine: Engine) -> None:
    add_event(engine, EventState.ENDED)
    assert [(e.project, e.event) for e in deliveries.awaiting_archive(10)] == [("p", "ev_1")]


def test_a_project_may_have_only_so_many_under_way(
    ledger: Ledger, clock: Clock, engine: Engine
) -> None:
    limited = Deliveries(engine, clock=clock, per_project={"archive": 2})
    ledger.file([request(number) for number in range(4)])
    first = [delivery.job for delivery in limited.owed(10)]
    assert len(first) == 2
    limited.sent(first)
    assert limited.owed(10) == []
    # One of them is worked on, which still counts; then it is done.
    lease = ledger.lease(first[0], "w1/1")
    assert lease is not None
    assert limited.owed(10) == []
    ledger.succeed(lease, JobResult(), {})
    assert len(limited.owed(10)) == 1


def test_the_limit_of_one_project_holds_up_no_other(
    ledger: Ledger, clock: Clock, engine: Engine
) -> None:
    limited = Deliveries(engine, clock=clock, per_project={"archive": 1})
    ledger.file([request(number) for number in range(3)])
    ledger.file([replace(request(9), project="q", id="job_q")])
    limited.sent([one.job for one in limited.owed(1)])
    # The two that have to wait take no place in the batch.
    assert [one.job for one in limited.owed(1)] == ["job_q"]


def test_a_long_backlog_below_its_limit_holds_up_no_other(
    ledger: Ledger, clock: Clock, engine: Engine
) -> None:
    limited = Deliveries(engine, clock=clock, per_project={"archive": 2})
    ledger.file([request(number) for number in range(10)])
    clock.now += 1
    ledger.file([replace(request(11), project="q", id="job_q")])
    assert "job_q" in [one.job for one in limited.owed(3)]


def test_without_a_limit_the_oldest_go_first(ledger: Ledger, clock: Clock, engine: Engine) -> None:
    limited = Deliveries(engine, clock=clock, per_project={"clip": 1})
    for number in range(3):
        ledger.file([request(number)])
        clock.now += 1
    assert [one.job for one in limited.owed(2)] == [request(0).id, request(1).id]
