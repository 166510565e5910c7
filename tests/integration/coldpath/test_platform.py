"""What the platform promises to functions and to those who run machines, with real roles."""

import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from sqlalchemy.orm import Session

from coldpath.app import create_app
from coldpath.broker import Broker
from coldpath.deliveries import Delivery
from infra.db.jobs import Function, Job
from infra.keys import ProgramKey
from tests.support.coldpath import ColdStack
from tests.support.imds import Service
from tests.support.patient import QUEUE, install, install_broken
from tests.support.platform import AT_ONCE_S, NEVER_S, Long, World, loudness, now_ms, states
from tests.support.s3 import SeaweedServer, free_ports
from tests.support.session import encode, session
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("platform")
    (port,) = free_ports(1)
    s3 = SeaweedServer(folder / "s3")
    (folder / "broker").mkdir()
    try:
        s3.start()
        with ValkeyServer(folder / "broker") as broker:
            stack = ColdStack(
                folder,
                database_url=f"sqlite:///{folder}/livepath.db",
                broker_url=broker.url,
                s3_url=s3.url("cold"),
                port=port,
                settings={
                    "PYTHONPATH": os.pathsep.join(
                        [
                            str(loudness(folder)),
                            install_broken(folder / "broken"),
                            install(folder / "packages"),
                        ]
                    ),
                    "LIVEPATH_BUS_URL": broker.url,
                    "LIVEPATH_IMDS_POLL_S": "0.05",
                },
                queues=(QUEUE, "fast"),
            )
            yield World(stack, broker)
            stack.close()
    finally:
        s3.stop()


@pytest.fixture
def world(servers: World, request: pytest.FixtureRequest) -> World:
    """With a dispatcher; where the bell is tested, with one that does not sweep by itself."""
    if "backlog" not in request.node.name:
        servers.dispatcher(NEVER_S if "bell" in request.node.name else AT_ONCE_S)
    return servers


def test_a_backlog_asks_for_a_worker_and_one_that_comes_drains_it(world: World) -> None:
    world.no_worker()
    past = world.file("steps", "past", folder="", steps=0)
    with Session(world.stack.engine) as session, session.begin():
        done = session.get_one(Job, past)
        done.state, done.finished_ms, done.cost = "succeeded", done.created_ms, {"cpu_ms": 500}
    jobs = [world.file("steps", "backlog", folder="", steps=0, number=n) for n in range(20)]
    world.dispatcher(NEVER_S)  # it counts when it starts
    world.stack.until(
        "the dispatcher tells of the backlog",
        lambda: world.metrics("livepath_queue_jobs")[QUEUE] == len(jobs),
    )
    assert world.metrics("livepath_queue_running_jobs")[QUEUE] == 0
    assert 0 <= world.metrics("livepath_queue_oldest_seconds")[QUEUE] < 60
    assert 0 < world.metrics("livepath_queue_work_seconds")[QUEUE] < 20
    world.worker()
    world.stack.until(
        "the backlog is drained",
        lambda: {job.state for job in world.stack.jobs("backlog")} == {"succeeded"},
    )
    assert world.outcomes("backlog") == ["succeeded"] * 20


def test_a_job_of_which_the_bell_tells_does_not_wait_for_the_sweep(world: World) -> None:
    world.worker()
    world.stack.until("a dispatcher listens", world.ring)
    # The first may still owe its start to what a dispatcher does when it begins to listen.
    for event in ("heard-1", "heard-2"):
        world.file("steps", event, folder="", steps=0)
        assert world.ring() == 1
        world.stack.until_state(event, "succeeded", timeout_s=20)


def test_a_package_of_ones_own_measures_every_segment_that_arrives(world: World) -> None:
    _, sound = encode()
    made = session(ProgramKey("p", "loud"), "i1", sound)
    for key, data in made.objects.items():
        world.stack.store.put(key, data, "video/mp4")
    world.worker()
    world.tell(made.objects)
    world.stack.until("both are measured", lambda: states(world, "loud") == ["succeeded"] * 2)
    found = list(world.stack.store.list("work/p/loud/"))
    assert [info.key for info in found] == [
        f"work/p/loud/main/i1/loudness/audio-{msn}.json" for msn in (0, 1)
    ]
    for info in found:
        # ffmpeg's tone has an amplitude of an eighth, and its power is shared by two channels.
        measured = json.loads(world.stack.store.get(info.key))
        assert measured["mean_db"] == pytest.approx(-24.1, abs=0.5)
        assert measured["peak_db"] == pytest.approx(-21.1, abs=1.5)
    assert "segment 0: {'mean_db'" in (world.stack.attempts("loud")[0].log or "")


def test_an_attempt_that_takes_too_long_has_failed_and_is_tried_again(world: World) -> None:
    worker = world.worker()
    processes = {child.pid for child in worker.children()}
    world.file("slow", "slow")
    job = world.stack.until_state("slow", "succeeded")
    assert world.outcomes("slow") == ["failed", "succeeded"]
    assert world.stack.attempts("slow")[0].error == "TookTooLong: slow took longer than 1 s"
    assert job.attempt_count == 2
    assert {child.pid for child in worker.children()} == processes


def test_an_attempt_that_cannot_be_told_is_killed_and_counts(world: World, tmp_path: Path) -> None:
    worker = world.worker()
    processes = {child.pid for child in worker.children()}
    job = world.file("deaf", "deaf", folder=str(tmp_path), sent_ms=now_ms())
    # With less patience than a dispatcher has.
    broker = Broker(create_app(world.broker.url), world.broker.url, grace_s=1)
    broker.send(Delivery(job, QUEUE, 1))
    broker.close()
    done = world.stack.until_state("deaf", "succeeded")
    assert (tmp_path / "told").exists()
    assert world.outcomes("deaf") == ["lost", "succeeded"]
    assert done.attempt_count == 2
    assert worker.runs
    # The other process may have done it before the one that was deaf is found dead.
    world.stack.until(
        "another process has its place",
        lambda: {child.pid for child in worker.children()} != processes,
    )


@pytest.mark.parametrize("deaf", [False, True], ids=["told", "killed"])
def test_what_an_attempt_started_is_gone_with_it(world: World, tmp_path: Path, deaf: bool) -> None:
    world.worker()
    event = "killed" if deaf else "told"
    job = world.file("parent", event, folder=str(tmp_path), deaf=deaf, sent_ms=now_ms())
    broker = Broker(create_app(world.broker.url), world.broker.url, grace_s=1)
    broker.send(Delivery(job, QUEUE, 1))
    broker.close()
    world.stack.until_state(event, "succeeded")
    assert world.outcomes(event)[0] == ("lost" if deaf else "failed")
    for name in ("child", "grandchild"):
        pid = int((tmp_path / name).read_text())
        world.stack.until(f"the {name} is gone", lambda pid=pid: not psutil.pid_exists(pid))


def test_a_package_that_cannot_be_imported_stops_nobody_and_is_told(world: World) -> None:
    world.worker()  # beside it, all that the other tests do is done
    with Session(world.stack.engine) as session:
        found = session.get_one(Function, "half")
        assert found.trigger == "broken"
        assert found.doc.startswith("half_done cannot be loaded: ModuleNotFoundError: No module")
        assert session.get_one(Function, "steps").trigger == "request"
    world.file("half", "half")
    job = world.stack.until_state("half", "retrying")
    assert "this worker has no function 'half': half_done cannot be loaded" in (job.error or "")


def test_two_dispatchers_do_nothing_twice(world: World) -> None:
    world.worker()
    (port,) = free_ports(1)
    second = world.stack.start_dispatcher(
        LIVEPATH_DISPATCHER_PORT=str(port), LIVEPATH_SWEEP_INTERVAL_S=AT_ONCE_S
    )
    world.stack.until("both are ready", lambda: world.stack.ready(port, second))
    for number in range(20):
        world.file("steps", "twice", folder="", steps=0, number=number)
    world.stack.until("all are done", lambda: states(world, "twice") == ["succeeded"] * 20)
    assert world.outcomes("twice") == ["succeeded"] * 20
    assert second.terminate() == 0


def test_a_project_has_only_so_many_under_way(world: World, tmp_path: Path) -> None:
    world.worker()
    go = tmp_path / "go"
    for number in range(3):
        world.file("held", "crowd", go=str(go), number=number)
    world.stack.until("one runs", lambda: "running" in states(world, "crowd"))
    world.file("held", "alone", project="q", go=str(go))
    world.stack.until_state("alone", "running")
    assert states(world, "crowd") == ["queued", "queued", "running"]
    waiting = [job for job in world.stack.jobs("crowd") if job.state == "queued"]
    assert [job.delivery_sent_ms for job in waiting] == [None, None]
    go.touch()
    world.stack.until("all are done", lambda: states(world, "crowd") == ["succeeded"] * 3)
    spans = sorted((a.started_ms, a.ended_ms) for a in world.stack.attempts("crowd"))
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize("ends", ["meanwhile", "later"])
def test_a_worker_that_waits_for_more_outlives_a_broker_that_restarts(
    world: World, tmp_path: Path, ends: str
) -> None:
    worker = world.worker()
    job = Long(world, f"ends-{ends}", tmp_path, steps=2)
    job.step(0)
    job.waits(1)  # one of its two processes has nothing to do, so it asks the broker
    world.broker.stop()
    world.stack.until("it notices", lambda: not world.stack.ready(worker.port, worker))
    if ends == "meanwhile":
        job.step(1)
    world.broker.start()
    world.stack.until("it is back", lambda: world.stack.ready(worker.port, worker))
    job.all()
    assert world.stack.until_state(f"ends-{ends}", "succeeded").attempt_count == 1
    assert world.outcomes(f"ends-{ends}") == ["succeeded"]
    # It has told the broker so when it takes two more, and goes on.
    for number in range(2):
        world.file("steps", f"after-{ends}", folder="", steps=0, number=number)
    world.stack.until("both are done", lambda: states(world, f"after-{ends}") == ["succeeded"] * 2)
    assert worker.runs
    assert "Unrecoverable" not in worker.log.read_text()


def test_a_rebalance_notice_hands_long_work_to_another_machine(
    world: World, tmp_path: Path
) -> None:
    world.no_worker()
    with Service().running() as cloud:
        spot = world.stack.worker(LIVEPATH_IMDS_URL=cloud.url)
        job = Long(world, "spot", tmp_path, steps=4)
        job.step(0)
        job.waits(1)
        first = job.holder()
        other = world.worker()
        answered(world, cloud)
        cloud.rebalance()
        world.stack.until(
            "it takes no more", lambda: "no work is taken any more" in spot.log.read_text()
        )
        assert not world.stack.ready(spot.port, spot)
        job.step(1)  # its checkpoint is where the attempt ends
        job.step(2)
        second = job.holder()
        assert second not in ("", first)
        # What is filed now goes to the other one.
        world.file("steps", "later", folder="", steps=0)
        world.stack.until_state("later", "succeeded")
        assert world.stack.attempts("later")[0].worker.partition("/")[0] == second
        assert spot.process.wait(20) == 0
        job.all()
        done = world.stack.until_state("spot", "succeeded")
    assert done.attempt_count == 1
    assert world.outcomes("spot") == ["handed-back", "succeeded"]
    assert other.runs


def answered(world: World, cloud: Service) -> None:
    """A worker has asked, so what is said from now on is news to it."""
    world.stack.until("a worker asks", lambda: "instance-action" in cloud.asked)


def test_a_worker_that_a_rebalance_notice_leaves_without_work_ends_and_another_takes_work(
    world: World,
) -> None:
    world.no_worker()
    with Service().running() as cloud:
        spot = world.stack.worker(LIVEPATH_IMDS_URL=cloud.url)
        answered(world, cloud)
        cloud.rebalance()
        assert spot.process.wait(20) == 0
        assert "no job is left, so this worker ends" in spot.log.read_text()
        world.file("steps", "replaced", folder="", steps=0)
        # The same machine still has the recommendation.
        again = world.stack.worker(LIVEPATH_IMDS_URL=cloud.url)
        world.stack.until_state("replaced", "succeeded")
        assert again.terminate() == 0


def test_a_stop_notice_hands_back_what_has_no_checkpoint(world: World, tmp_path: Path) -> None:
    world.no_worker()
    with Service().running() as cloud:
        spot = world.stack.worker(LIVEPATH_IMDS_URL=cloud.url, LIVEPATH_WORKER_GRACE_S="0.1")
        world.file("held", "doomed", go=str(tmp_path / "go"))
        world.stack.until_state("doomed", "running")
        cloud.stop(in_s=1)
        assert spot.process.wait(20) == 0
    assert world.outcomes("doomed") == ["handed-back"]
    (tmp_path / "go").touch()
    world.worker()
    world.stack.until_state("doomed", "succeeded")


def test_a_job_without_a_checkpoint_ends_within_a_longer_grace(
    world: World, tmp_path: Path
) -> None:
    world.no_worker()
    worker = world.stack.worker(LIVEPATH_WORKER_GRACE_S="120")
    world.file("held", "grace", go=str(tmp_path / "go"))
    world.stack.until_state("grace", "running")
    worker.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    # Without the setting it would be handed back after 4 s.
    world.stack.until("the usual time is over", lambda: time.monotonic() > told + 6)
    assert worker.runs
    assert states(world, "grace") == ["running"]
    (tmp_path / "go").touch()
    # And nobody waits for the rest of the two minutes.
    assert worker.process.wait(30) == 0
    assert world.outcomes("grace") == ["succeeded"]
    assert "jobs still run" not in worker.log.read_text()


def test_sigterm_hands_long_work_back_at_its_next_checkpoint(world: World, tmp_path: Path) -> None:
    worker = world.worker()
    job = Long(world, "sigterm", tmp_path, steps=3)
    job.step(0)
    job.waits(1)
    worker.process.send_signal(signal.SIGTERM)
    world.stack.until("it stops", lambda: not world.stack.ready(worker.port, worker))
    job.step(1)
    assert worker.process.wait(20) == 0
    (handed,) = world.stack.jobs("sigterm")
    assert handed.checkpoint == {"done": 2}
    world.worker()
    job.all()
    assert world.stack.until_state("sigterm", "succeeded").attempt_count == 1
    assert world.outcomes("sigterm") == ["handed-back", "succeeded"]
