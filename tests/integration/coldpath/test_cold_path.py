"""The cold path as it runs: SeaweedFS with its webhook, Valkey, dispatcher and workers.

Everything is a process and is shared as long as no test killed it; each test has an event of its
own. A paused worker (SIGSTOP) lets a test prepare what it will find; a frozen S3 holds a job in the
middle of its work for as long as a test needs.
"""

import json
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import av
import pytest

from infra.keys import ProgramKey, VodKey
from tests.support.coldpath import TOKEN, VISIBILITY_S, ColdStack, Role
from tests.support.s3 import SeaweedServer, free_ports
from tests.support.session import Session, encode, session
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

POISON = """
import os, signal
from coldpath.functions.registry import registry
from infra.keys import VodKey

def bound(key):
    return key.name == "poison.bin"

@registry.function("poison", on=VodKey, when=bound, queue="poison", max_attempts=3)
def poison(context):
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""A third party's function, in an installed package with an entry point."""


def install_poison(folder: Path) -> str:
    """The value of PYTHONPATH with which roles know it."""
    package = folder / "poison-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: poison\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[livepath.functions]\npoison = poison\n")
    (folder / "poison.py").write_text(POISON)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


class World:
    """The servers and the roles that run."""

    def __init__(self, s3: SeaweedServer, broker: ValkeyServer, stack: ColdStack) -> None:
        self.s3 = s3
        self.broker = broker
        self.stack = stack
        self._dispatcher: Role | None = None
        self._worker: Role | None = None

    def dispatcher(self) -> Role:
        """The dispatcher; a new one when a test ended it."""
        if self._dispatcher is None or not self._dispatcher.runs:
            self._dispatcher = self.stack.dispatcher()
        return self._dispatcher

    def worker(self) -> Role:
        """The worker; a new one when a test ended it."""
        if self._worker is None or not self._worker.runs:
            self._worker = self.stack.worker()
        return self._worker

    def upload(self, event: str) -> Session:
        """An ended event whose session lies in the bucket, filed and sent."""
        made = recorded(event)
        self.stack.event("p", event)
        made.upload(self.stack.store)
        self.stack.until(f"{event} was sent", lambda: self._sent(event))
        return made

    def stuck_in_archive(self, event: str) -> Role:
        """The worker, in the middle of the archive's MP4, waiting for a frozen S3."""
        worker = self.worker()
        # Frozen in the middle of a write, it would keep everybody from the database.
        self.stack.until("the worker is idle", self.stack.idle)
        worker.freeze()
        self.upload(event)
        self.s3.freeze()
        worker.resume()
        self.stack.until_state(event, "running")
        return worker

    def made_once(self, event: str) -> None:
        assert [asset.kind for asset in self.stack.assets(event)] == ["mp4"]
        names = [posixpath.basename(o.key) for o in self.stack.store.list(f"vod/p/{event}/")]
        assert names == ["archive.mp4"]

    def outcomes(self, event: str) -> list[str | None]:
        return [attempt.outcome for attempt in self.stack.attempts(event)]

    def _sent(self, event: str) -> bool:
        return any(job.delivery_sent_ms or job.started_ms for job in self.stack.jobs(event))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cold")
    (port,) = free_ports(1)
    s3 = SeaweedServer(folder / "s3")
    (folder / "s3" / "notification.toml").write_text(
        "[notification.webhook]\nenabled = true\nmax_retries = 0\ntimeout_seconds = 5\n"
        f'endpoint = "http://127.0.0.1:{port}/events/seaweedfs"\nbearer_token = "{TOKEN}"\n'
    )
    (folder / "broker").mkdir()
    try:
        s3.start()
        with ValkeyServer(folder / "broker", persist=True) as broker:
            stack = ColdStack(
                folder,
                database_url=f"sqlite:///{folder}/livepath.db",
                broker_url=broker.url,
                s3_url=s3.url("cold"),
                port=port,
                settings={"PYTHONPATH": install_poison(folder / "packages")},
                # Of the functions that an event starts, the one that takes long.
                queues=("bulk", "poison"),
                functions=("archive-mp4", "poison"),
            )
            yield World(s3, broker, stack)
            stack.close()
    finally:
        s3.stop()


@pytest.fixture
def world(servers: World) -> Iterator[World]:
    servers.dispatcher()
    yield servers
    servers.s3.thaw()


def recorded(event: str) -> Session:
    return session(ProgramKey("p", event), "i1", *encode())


def test_a_manifest_becomes_an_archive(world: World, tmp_path: Path) -> None:
    world.worker()
    made = world.upload("happy")
    job = world.stack.until_state("happy", "succeeded")
    assert (job.attempt_count, job.progress, job.error) == (1, 1000, None)
    world.made_once("happy")
    (mp4,) = world.stack.assets("happy")
    with urlopen(world.stack.store.presign(mp4.key, 60)) as answer:
        data = answer.read()
    assert len(data) == mp4.bytes
    assert data.index(b"moov") < data.index(b"mdat")
    (tmp_path / "a.mp4").write_bytes(data)
    for kind in ("video", "audio"):
        with av.open(str(tmp_path / "a.mp4")) as container:
            assert sum(1 for _ in container.decode(**{kind: 0})) == made.samples(kind)

    quick = world.stack.worker(LIVEPATH_WORKER_QUEUES="fast")
    world.stack.until(
        "the event is archived", lambda: world.stack.event_state("happy") == "archived"
    )
    quick.end()
    (vod,) = [asset for asset in world.stack.assets("happy") if asset.kind == "vod"]
    folder = posixpath.dirname(vod.key)
    text = world.stack.store.get(f"{folder}/video.m3u8").decode()
    named = [line for line in text.splitlines() if line and not line.startswith("#")]
    for uri in named:
        assert world.stack.store.head(posixpath.normpath(f"{folder}/{uri}")) is not None
    assert len(named) == len(made.manifest.renditions[0].segments)


def test_an_event_told_many_times_is_one_job(world: World) -> None:
    made = recorded("twice")
    world.stack.event("p", "twice")
    made.upload(world.stack.store)
    seaweed = {
        "event_type": "create",
        "key": f"/buckets/cold/{made.manifest_key}",
        "message": {"new_entry": {"name": "manifest.json"}},
    }
    record = {"bucket": {"name": "cold"}, "object": {"key": made.manifest_key}}
    minio = {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": record}] * 2}
    for path, body in [("seaweedfs", seaweed), ("minio", minio)] * 3:
        request = Request(
            f"http://127.0.0.1:{world.stack.dispatcher_port}/events/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {TOKEN}"},
        )
        with urlopen(request) as answer:
            assert answer.status == 204
    world.worker()
    job = world.stack.until_state("twice", "succeeded")
    assert job.attempt_count == 1
    assert len(world.stack.attempts("twice")) == 1


def test_an_object_whose_event_was_lost_is_found(world: World) -> None:
    world.worker()
    world.dispatcher().kill()  # nobody listens when SeaweedFS tells, and it tells once
    made = recorded("unheard")
    world.stack.event("p", "unheard")
    made.upload(world.stack.store)
    world.dispatcher()
    world.stack.until_state("unheard", "succeeded")
    world.made_once("unheard")


def test_a_delivery_that_the_broker_lost_is_sent_again(world: World) -> None:
    world.worker().kill()
    world.upload("undelivered")
    with world.broker.client() as client:
        client.flushall()
    world.worker()
    job = world.stack.until_state("undelivered", "succeeded")
    assert job.attempt_count == 1
    assert f"{job.id}: the broker lost its delivery" in world.dispatcher().log.read_text()


def test_kill_9_of_the_worker_in_an_archive(world: World) -> None:
    world.stuck_in_archive("killed").kill()
    world.s3.thaw()
    world.worker()
    job = world.stack.until_state("killed", "succeeded")
    assert job.attempt_count == 2
    assert world.outcomes("killed") == ["lost", "succeeded"]
    world.made_once("killed")


def test_kill_9_of_the_main_process_alone(world: World) -> None:
    worker = world.stuck_in_archive("headless")
    orphans = worker.children()
    worker.process.kill()
    worker.process.wait()
    # A pool process that still runs must not keep the port from the next life of the role.
    world.stack.worker(LIVEPATH_WORKER_PORT=str(worker.port))
    world.s3.thaw()
    world.stack.until_state("headless", "succeeded")
    world.made_once("headless")
    assert world.outcomes("headless")[-1] == "succeeded"
    world.stack.until("no orphan runs", lambda: not any(o.is_running() for o in orphans))
    world.stack.end_workers()


def test_a_worker_that_wakes_up_too_late_writes_nothing(world: World) -> None:
    zombie = world.stuck_in_archive("zombie")
    zombie.freeze()
    world.s3.thaw()
    world.stack.worker()
    done = vars(world.stack.until_state("zombie", "succeeded"))
    zombie.resume()
    # It finds out by its lease or by a write, whichever comes first.
    words = [f"{done['id']}: attempt 1 {why}" for why in ("lost its lease", "no longer owns")]
    world.stack.until(
        "the zombie gave up", lambda: any(word in zombie.log.read_text() for word in words)
    )
    assert world.stack.jobs("zombie")[0].updated_ms == done["updated_ms"]
    assert world.outcomes("zombie") == ["lost", "succeeded"]
    world.made_once("zombie")
    world.stack.end_workers()


def test_a_job_may_last_longer_than_the_visibility_timeout(world: World) -> None:
    world.stuck_in_archive("long")
    world.stack.worker()  # would take the delivery if it came back

    def kept_at() -> float:
        """When the delivery was refreshed last."""
        with world.broker.client() as client:
            entries = client.zrange("unacked_index", 0, -1, withscores=True)
        return min((float(score) for _, score in entries), default=0.0)

    first = kept_at()
    world.stack.until(
        "the delivery was kept for longer than its timeout",
        lambda: kept_at() > first + VISIBILITY_S + 1,
    )
    world.s3.thaw()
    job = world.stack.until_state("long", "succeeded")
    assert job.attempt_count == 1
    assert world.outcomes("long") == ["succeeded"]
    world.stack.end_workers()


def test_a_broker_restart_in_the_middle_of_a_job(world: World) -> None:
    world.stuck_in_archive("restart")
    world.broker.stop()
    world.broker.start()
    world.s3.thaw()
    job = world.stack.until_state("restart", "succeeded")
    assert job.attempt_count == 1
    # The same worker and dispatcher go on afterwards.
    world.upload("after-restart")
    assert world.stack.until_state("after-restart", "succeeded").attempt_count == 1


def test_sigterm_hands_the_job_back(world: World) -> None:
    worker = world.stuck_in_archive("handed")
    assert worker.terminate(timeout_s=15) == 0
    assert world.outcomes("handed") == ["handed-back"]
    assert world.stack.until_state("handed", "queued").attempt_count == 0
    world.s3.thaw()
    world.worker()
    job = world.stack.until_state("handed", "succeeded")
    assert job.attempt_count == 1
    assert world.outcomes("handed") == ["handed-back", "succeeded"]
    world.made_once("handed")


def test_the_dispatcher_stops_in_time_though_s3_hangs(world: World) -> None:
    dispatcher = world.dispatcher()
    world.s3.freeze()
    world.stack.until(
        "the dispatcher notices",
        lambda: not world.stack.ready(world.stack.dispatcher_port, dispatcher),
    )
    assert dispatcher.terminate(timeout_s=10) == 0


def test_a_job_that_kills_its_worker_ends_in_the_dead_letter_state(world: World) -> None:
    world.worker()
    key = str(VodKey(ProgramKey("p", "poison"), "i1", "poison.bin"))
    world.stack.store.put(key, b"poison", "application/octet-stream")
    job = world.stack.until_state("poison", "dead")
    assert job.attempt_count == 3
    assert "all 3 attempts are used up" in (job.error or "")
    assert world.outcomes("poison") == ["lost"] * 3
