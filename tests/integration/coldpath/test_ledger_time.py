"""Rounds of attempts and what a clock that is set does to them, on SQLite and on Postgres."""

import pytest
from sqlalchemy import Engine

from coldpath.deliveries import Deliveries
from coldpath.errors import LeaseLost
from coldpath.ledger import Ledger
from coldpath.records import JobResult, Lease
from tests.integration.coldpath.conftest import Clock
from tests.support.ledgers import JOB, LEASE_MS, leased, request, row

pytestmark = pytest.mark.integration


class TestPostponing:
    def lease(self, ledger: Ledger, clock: Clock) -> Lease:
        """The next attempt, some time after whatever came before."""
        clock.now += 1_000
        lease = ledger.lease(JOB, "w1/1")
        assert lease is not None
        return lease

    def postpone(self, ledger: Ledger, clock: Clock) -> None:
        ledger.postpone(self.lease(ledger, clock), "503", delay_ms=0)

    def test_an_attempt_is_told_how_many_were_postponed(self, ledger: Ledger, clock: Clock) -> None:
        ledger.file([request()])
        self.postpone(ledger, clock)
        self.postpone(ledger, clock)
        ledger.fail(self.lease(ledger, clock), "boom", delay_ms=0)
        ledger.release(self.lease(ledger, clock))
        lease = self.lease(ledger, clock)
        assert (lease.postponed, lease.attempt, lease.fence) == (2, 2, 5)

    @pytest.mark.parametrize("way", ["dead", "cancelled between attempts", "cancelled in one"])
    def test_a_job_that_is_queued_anew_has_none(
        self, ledger: Ledger, clock: Clock, engine: Engine, way: str
    ) -> None:
        ledger.file([request()])
        self.postpone(ledger, clock)
        if way == "dead":
            ledger.fail(self.lease(ledger, clock), "boom", permanent=True)
        elif way == "cancelled in one":
            self.lease(ledger, clock)
            assert ledger.cancel(JOB)
        else:
            assert ledger.cancel(JOB)
        assert ledger.requeue(JOB)
        assert row(engine).started_ms is None
        self.postpone(ledger, clock)
        assert row(engine).started_ms == clock.now
        assert self.lease(ledger, clock).postponed == 1

    def test_a_worker_that_was_lost_postponed_nothing(self, ledger: Ledger, clock: Clock) -> None:
        ledger.file([request()])
        self.lease(ledger, clock)
        clock.now += LEASE_MS + 1
        Deliveries(ledger.engine, clock=clock).release_expired(10)
        assert ledger.hand_back("w1") == []
        self.lease(ledger, clock)
        assert ledger.hand_back("w1") == [JOB]
        assert self.lease(ledger, clock).postponed == 0


class TestClockSetBack:
    """An hour, by an operator or by a failover to another machine."""

    BACK_MS = 3_600_000

    def test_who_holds_a_job_goes_on_alone(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine, clock: Clock
    ) -> None:
        lease = leased(ledger)
        clock.now -= self.BACK_MS
        assert ledger.lease(JOB, "w2/1") is None
        ledger.extend(lease)
        assert row(engine).lease_until_ms == clock.now + LEASE_MS
        assert deliveries.release_expired(10) == []
        ledger.succeed(lease, JobResult(), {})
        assert row(engine).state == "succeeded"

    def test_the_job_of_who_died_waits_and_is_not_lost(
        self, ledger: Ledger, deliveries: Deliveries, clock: Clock
    ) -> None:
        leased(ledger)
        clock.now -= self.BACK_MS
        assert deliveries.release_expired(10) == []
        clock.now += self.BACK_MS + LEASE_MS + 1
        assert deliveries.release_expired(10) == [JOB]

    def test_a_retry_waits_and_is_not_lost(
        self, ledger: Ledger, deliveries: Deliveries, clock: Clock
    ) -> None:
        ledger.fail(leased(ledger), "boom")
        clock.now -= self.BACK_MS
        assert deliveries.requeue_due(10) == []
        assert ledger.lease(JOB, "w2/1") is None
        clock.now += self.BACK_MS + 2_000
        assert deliveries.requeue_due(10) == [JOB]

    def test_one_set_forward_gives_the_job_to_another_and_one_of_them_counts(
        self, ledger: Ledger, clock: Clock
    ) -> None:
        first = leased(ledger)
        clock.now += self.BACK_MS
        second = ledger.lease(JOB, "w2/1")
        assert second is not None
        with pytest.raises(LeaseLost):
            ledger.extend(first)
        ledger.succeed(second, JobResult(), {})
