"""The ledger on SQLite and on Postgres, with a clock in the test's hand."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from coldpath.clock import database_now_ms
from coldpath.deliveries import Deliveries, Delivery
from coldpath.errors import LeaseLost
from coldpath.ledger import Ledger
from coldpath.records import JobResult, Lease
from infra.db.control import Event
from infra.db.jobs import Asset, JobAttempt
from infra.jobs.filing import requested
from infra.jobs.states import JobState
from infra.keys import ProgramKey
from infra.lifecycle import EventState
from tests.integration.coldpath.conftest import Clock
from tests.support.ledgers import ASSET, DONE, JOB, LEASE_MS, add_event, leased, request, row, rows

pytestmark = pytest.mark.integration
Write = Callable[[Ledger, Lease], object]


class TestFiling:
    def test_a_job_is_filed_once(self, ledger: Ledger) -> None:
        assert ledger.file([request(), request(2)]) == [request(), request(2)]
        assert ledger.file([request(), request(3)]) == [request(3)]

    def test_thousands_are_filed_in_a_few_statements(self, ledger: Ledger, engine: Engine) -> None:
        said: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *of: said.append(of[2]))
        ledger.file([request(1_500), request(2_500)])
        many = [request(number) for number in range(3_000)]
        said.clear()
        assert len(ledger.file([*many, many[0]])) == 2_998
        assert len(said) < 20
        assert ledger.file(many) == []

    def test_filing_from_many_threads_files_once(self, ledger: Ledger) -> None:
        with ThreadPoolExecutor(8) as pool:
            filed = list(pool.map(lambda _: ledger.file([request()]), range(24)))
        assert sum(map(len, filed)) == 1


class TestLeasing:
    def test_one_of_many_gets_the_lease(self, ledger: Ledger) -> None:
        ledger.file([request()])
        barrier = threading.Barrier(6)

        def take(number: int) -> Lease | None:
            barrier.wait()
            return ledger.lease(JOB, f"w{number}/1")

        with ThreadPoolExecutor(6) as pool:
            leases = list(pool.map(take, range(6)))
        assert len([lease for lease in leases if lease]) == 1

    def test_the_lease_names_the_input(self, ledger: Ledger) -> None:
        lease = leased(ledger)
        assert (lease.function, lease.input_key) == ("archive", request().input_key)
        assert (lease.attempt, lease.fence) == (1, 1)

    def test_an_unknown_job_cannot_be_leased(self, ledger: Ledger) -> None:
        assert ledger.lease("job_none", "w1/1") is None

    def test_a_kept_lease_is_not_taken_and_a_run_out_one_is(
        self, ledger: Ledger, clock: Clock, engine: Engine
    ) -> None:
        first = leased(ledger)
        clock.now += LEASE_MS - 1
        ledger.extend(first)
        clock.now += LEASE_MS
        assert ledger.lease(JOB, "w2/1") is None
        clock.now += 1
        second = ledger.lease(JOB, "w2/1")
        assert second is not None
        assert (second.attempt, second.fence) == (2, 2)
        assert [a.outcome for a in rows(engine, JobAttempt)] == ["lost", None]

    def test_a_dead_process_loses_its_lease_at_once(self, ledger: Ledger) -> None:
        leased(ledger, "w1/10")
        assert ledger.lease(JOB, "w1/11", dead_owner="w1/9") is None
        assert ledger.lease(JOB, "w1/11", dead_owner="w1/10") is not None

    def test_the_lease_counts_by_the_database_clock(self, engine: Engine) -> None:
        ledger = Ledger(engine, lease_ms=60_000)
        leased(ledger)
        with Session(engine) as session:
            now = database_now_ms(session)
        assert 0 < (row(engine).lease_until_ms or 0) - now <= 60_000


class TestOutcomes:
    def test_success_writes_outputs_assets_and_event_at_once(
        self, ledger: Ledger, engine: Engine
    ) -> None:
        add_event(engine, EventState.ENDED)
        lease = leased(ledger)
        ledger.start(lease)
        ledger.progress(lease, 420)
        assert (row(engine).state, row(engine).progress) == ("running", 420)
        ledger.succeed(lease, DONE, {"wall_ms": 5})
        job = row(engine)
        assert (job.state, job.outputs, job.cost) == ("succeeded", DONE.outputs, {"wall_ms": 5})
        assert [(a.kind, a.key, a.job) for a in rows(engine, Asset)] == [("mp4", ASSET.key, JOB)]
        assert rows(engine, Event)[0].state == "archived"
        assert [a.outcome for a in rows(engine, JobAttempt)] == ["succeeded"]

    def test_a_done_job_is_never_leased_again(self, ledger: Ledger, clock: Clock) -> None:
        ledger.succeed(leased(ledger), JobResult(), {})
        clock.now += 10 * LEASE_MS
        assert ledger.lease(JOB, "w2/1") is None

    @pytest.mark.parametrize(
        "state", [EventState.SCHEDULED, EventState.LIVE, EventState.RECONNECTING]
    )
    def test_an_archive_may_come_before_the_news_that_the_event_ended(
        self, ledger: Ledger, engine: Engine, state: EventState
    ) -> None:
        add_event(engine, state)
        ledger.succeed(leased(ledger), DONE, {})
        assert rows(engine, Event)[0].state == "archived"

    def test_a_cancelled_or_unknown_event_keeps_its_state(
        self, ledger: Ledger, engine: Engine
    ) -> None:
        ledger.succeed(leased(ledger), DONE, {})
        assert row(engine).state == "succeeded"
        add_event(engine, EventState.CANCELLED)
        ledger.file([request(2)])
        lease = ledger.lease(request(2).id, "w1/1")
        assert lease is not None
        ledger.succeed(lease, DONE, {})
        assert rows(engine, Event)[0].state == "cancelled"
        assert len(rows(engine, Asset)) == 1

    def test_failures_pause_longer_each_time_until_the_job_is_dead(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine, clock: Clock
    ) -> None:
        ledger.file([request()])
        pauses = []
        for _ in range(2):
            lease = ledger.lease(JOB, "w1/1")
            assert lease is not None
            assert ledger.fail(lease, "boom") is JobState.RETRYING
            pauses.append((row(engine).next_attempt_ms or 0) - clock.now)
            assert ledger.lease(JOB, "w1/1") is None  # not due
            clock.now += pauses[-1]
            assert deliveries.requeue_due(10) == [JOB]
        assert pauses == [2_000, 4_000]
        last = ledger.lease(JOB, "w1/1")
        assert last is not None
        assert ledger.fail(last, "boom again") is JobState.DEAD
        assert (row(engine).error, row(engine).attempt_count) == ("boom again", 3)
        assert ledger.lease(JOB, "w1/1") is None

    def test_a_permanent_failure_is_dead_at_once_and_can_be_given_another_round(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine
    ) -> None:
        assert ledger.fail(leased(ledger), "no manifest", permanent=True) is JobState.DEAD
        assert ledger.requeue(JOB)
        assert deliveries.owed(10) == [Delivery(JOB, "bulk")]
        assert row(engine).attempt_count == 0
        assert not ledger.requeue(JOB)

    def test_a_cancelled_job_stays_cancelled(self, ledger: Ledger, engine: Engine) -> None:
        lease = leased(ledger)
        assert ledger.cancel(JOB)
        with pytest.raises(LeaseLost):
            ledger.succeed(lease, DONE, {})
        assert not ledger.cancel(JOB)
        assert (row(engine).state, rows(engine, Asset)) == ("cancelled", [])


class TestZombies:
    @pytest.mark.parametrize(
        "write",
        [
            lambda ledger, lease: ledger.start(lease),
            lambda ledger, lease: ledger.extend(lease),
            lambda ledger, lease: ledger.progress(lease, 500),
            lambda ledger, lease: ledger.succeed(lease, DONE, {}),
            lambda ledger, lease: ledger.fail(lease, "zombie"),
        ],
        ids=["start", "extend", "progress", "succeed", "fail"],
    )
    @pytest.mark.parametrize("after", ["leased", "succeeded", "expired", "handed back"])
    def test_an_old_fence_writes_nothing(
        self, ledger: Ledger, clock: Clock, write: Write, after: str
    ) -> None:
        engine = ledger.engine
        add_event(engine, EventState.ENDED)
        zombie = leased(ledger)
        clock.now += LEASE_MS + 1
        if after == "expired":
            Deliveries(engine, clock=clock).release_expired(10)
        elif after == "handed back":
            ledger.hand_back("w1")
        else:
            heir = ledger.lease(JOB, "w2/1")
            assert heir is not None
            if after == "succeeded":
                ledger.succeed(heir, JobResult({"by": "heir"}), {})
        before = vars(row(engine)).copy(), [vars(a).copy() for a in rows(engine, JobAttempt)]
        with pytest.raises(LeaseLost, match=f"{JOB}: attempt 1 no longer owns"):
            write(ledger, zombie)
        now = vars(row(engine)), [vars(a) for a in rows(engine, JobAttempt)]
        for was, is_ in zip([before[0], *before[1]], [now[0], *now[1]], strict=True):
            was.pop("_sa_instance_state"), is_.pop("_sa_instance_state")
            assert was == is_
        assert rows(engine, Asset) == []
        assert rows(engine, Event)[0].state == "ended"


class TestPoison:
    def test_a_job_that_kills_its_worker_runs_out_of_attempts(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine, clock: Clock
    ) -> None:
        ledger.file([request()])
        for attempt in (1, 2, 3):
            lease = ledger.lease(JOB, f"w{attempt}/1")
            assert lease is not None
            assert lease.attempt == attempt
            clock.now += LEASE_MS + 1
        # A delivery that comes before the sweep buries it just the same.
        assert ledger.lease(JOB, "w4/1") is None
        assert deliveries.release_expired(10) == []
        job = row(engine)
        assert (job.state, job.attempt_count) == ("dead", 3)
        assert "all 3 attempts are used up" in (job.error or "")
        assert [a.outcome for a in rows(engine, JobAttempt)] == ["lost"] * 3

    def test_the_sweep_buries_it_too(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine, clock: Clock
    ) -> None:
        ledger.file([request(max_attempts=1)])
        ledger.lease(JOB, "w1/1")
        clock.now += LEASE_MS + 1
        assert deliveries.release_expired(10) == [JOB]
        assert row(engine).state == "dead"


class TestHandBack:
    def test_attempts_that_were_handed_back_do_not_count(
        self, ledger: Ledger, deliveries: Deliveries, engine: Engine
    ) -> None:
        lease = leased(ledger, "w1/10")
        ledger.start(lease)
        assert ledger.hand_back("w1") == [JOB]
        job = row(engine)
        assert (job.state, job.attempt_count, job.lease_owner) == ("queued", 0, None)
        assert deliveries.owed(10) == [Delivery(JOB, "bulk")]
        assert [a.outcome for a in rows(engine, JobAttempt)] == ["handed-back"]
        again = ledger.lease(JOB, "w2/1")
        assert again is not None
        assert again.attempt == 1
        assert again.fence > lease.fence

    def test_only_its_own(self, ledger: Ledger) -> None:
        leased(ledger, "w10/1")
        assert ledger.hand_back("w1") == []
        assert ledger.hand_back("w_0") == []


class TestCheckpoints:
    def test_a_checkpoint_outlives_its_attempt_and_not_its_job(
        self, ledger: Ledger, engine: Engine, clock: Clock
    ) -> None:
        ledger.checkpoint(leased(ledger), {"segments": 3})
        clock.now += 10 * LEASE_MS
        second = ledger.lease(JOB, "w2/1")
        assert second is not None
        assert second.checkpoint == {"segments": 3}
        ledger.succeed(second, JobResult(), {}, "all is well")
        assert row(engine).checkpoint is None
        assert [a.log for a in rows(engine, JobAttempt)] == [None, "all is well"]

    def test_an_attempt_may_give_its_job_back(self, ledger: Ledger, engine: Engine) -> None:
        lease = leased(ledger)
        ledger.release(lease, "the machine goes")
        job = row(engine)
        assert (job.state, job.attempt_count, job.lease_owner) == ("queued", 0, None)
        assert [a.outcome for a in rows(engine, JobAttempt)] == ["handed-back"]
        with pytest.raises(LeaseLost):
            ledger.release(lease)

    def test_what_a_client_asked_for_reaches_the_attempt(self, ledger: Ledger) -> None:
        wanted = requested(
            "clip", ProgramKey("p", "ev_1"), {"start": 1}, queue="fast", max_attempts=3, timeout_s=9
        )
        ledger.file([wanted])
        lease = ledger.lease(wanted.id, "w1/1")
        assert lease is not None
        assert lease.params == {"start": 1}
