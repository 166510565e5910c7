"""Everything happens to the cold path, and nothing comes of it.

    make chaos CHAOS_ARGS="--seconds 600 --jobs 200 --seed 7"

A workload is done twice: with nothing in its way, in this process; and by a dispatcher and workers
over real servers, while `schedule` happens to them. Then ledger and bucket must say that all was
done once, and that what was made is the same to the byte (`proof`).
"""

import heapq
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infra.db.jobs import Job
from tests.chaos import labour
from tests.chaos.clean import clean_run
from tests.chaos.driver import Driver, Undo
from tests.chaos.evidence import gathered
from tests.chaos.feeder import Feeder, patiently
from tests.chaos.findings import Findings
from tests.chaos.link import AilingLink
from tests.chaos.news import News
from tests.chaos.proof import problems
from tests.chaos.schedule import Disturbance, schedule
from tests.chaos.workload import SPEAKS, Workload, functions, workload
from tests.support.coldpath import TOKEN, ColdStack
from tests.support.postgres import PostgresServer
from tests.support.s3 import SeaweedServer, free_ports
from tests.support.valkey import ValkeyServer

BUCKET = "chaos"
VISIBILITY_S = 8
"""Leases last half as long: a worker that is frozen, or a database that is away, outlasts one."""
PAUSE_S = 0.4
"""A step of the labour."""
IDLE_S = 60.0
"""Without any news of a job: what is not done by now never will be."""
EMPTY_WITHIN_S = 60.0
_LOOK_S = 0.05
_LINE_S = 10.0
_TERMINAL = ("succeeded", "dead", "cancelled")
_BATCH = 100
_TAIL = 2_000
"""Characters of a role's log."""


@contextmanager
def world(folder: Path, seed: int) -> Iterator[Driver]:
    """Servers, relays and the roles between them; nothing runs at first but the servers."""
    (dispatcher_port,) = free_ports(1)
    s3, broker_folder = SeaweedServer(folder / "s3"), folder / "broker"
    broker_folder.mkdir()
    heard_at = f"http://127.0.0.1:{dispatcher_port}/events/seaweedfs"
    try:
        with News(heard_at, TOKEN, seed) as news, PostgresServer() as database:
            (folder / "s3" / "notification.toml").write_text(
                "[notification.webhook]\nenabled = true\nmax_retries = 0\ntimeout_seconds = 5\n"
                f'endpoint = "http://127.0.0.1:{news.port}/"\nbearer_token = "{TOKEN}"\n'
            )
            s3.start()
            with (
                ValkeyServer(broker_folder, persist=True) as broker,
                AilingLink(int(s3.endpoint.rpartition(":")[2])) as link,
            ):
                stack = ColdStack(
                    folder,
                    database_url=database.create_database(),
                    broker_url=broker.url,
                    s3_url=s3.url(BUCKET),
                    port=dispatcher_port,
                    settings={
                        "LIVEPATH_S3_URL": s3.url(BUCKET).replace(
                            s3.endpoint, f"http://127.0.0.1:{link.port}"
                        ),
                        "LIVEPATH_BUS_URL": broker.url,
                        "LIVEPATH_VISIBILITY_TIMEOUT_S": str(VISIBILITY_S),
                        "LIVEPATH_WORKER_CONCURRENCY": "2",
                        "LIVEPATH_CAPTIONS": str(SPEAKS),
                        "PYTHONPATH": labour.install(folder / "packages"),
                        labour.PAUSE: str(PAUSE_S),
                    },
                    queues=sorted(functions().queues()),
                )
                try:
                    yield Driver(stack, broker, broker_folder, database, link, news)
                finally:
                    stack.close()
    finally:
        s3.stop()


class Run:
    """One workload while things happen."""

    def __init__(
        self, driver: Driver, work: Workload, findings: Findings, say: Callable[[str], None]
    ) -> None:
        self._driver = driver
        self._stack = driver.stack
        self._work = work
        self._findings = findings
        self._say = say
        self._feeder = Feeder(work, self._stack.engine, self._stack.store, self._stack.broker_url)

    def start(self) -> None:
        """Every role is ready before anything happens."""
        self._driver.look_after()
        self._stack.until("every role is ready", self._driver.ready)

    def disturb(self, happenings: tuple[Disturbance, ...]) -> None:
        """Until everything has happened, is over, and all deeds are done."""
        began = told = time.monotonic()
        order = itertools.count()
        due: list[tuple[float, int, Disturbance | Undo]] = [
            (one.at_s, next(order), one) for one in happenings
        ]
        self._feeder.start()
        try:
            while due or self._feeder.busy:
                now = time.monotonic()
                while due and due[0][0] <= now - began:
                    _, _, what = heapq.heappop(due)
                    if isinstance(what, Disturbance):
                        self._tell(now - began, f"{what.kind}, {what.seconds:.1f} s")
                        undo = self._driver.begin(what)
                        heapq.heappush(due, (what.until_s, next(order), undo))
                        self._findings.disturbances[what.kind] += 1
                    else:
                        what()
                if now - told > _LINE_S:
                    self._tell(now - began, "")
                    told = now
                self._driver.look_after()
                time.sleep(_LOOK_S)
        finally:
            self._feeder.close()
            # What is still wrong when this fails must not be in the way of its end.
            for _, _, what in due:
                if not isinstance(what, Disturbance):
                    what()
        if self._feeder.failure is not None:
            raise self._feeder.failure

    def drain(self) -> None:
        """Until every job has ended; then nothing may be left with the broker either."""
        began = told = changed = time.monotonic()
        before: dict[str, str] = {}
        while not self._over(states := self._states()):
            now = time.monotonic()
            if states != before:
                before, changed = states, now
            if now - changed > IDLE_S:
                self._findings.problems.append(
                    f"nothing happened for {IDLE_S:g} s, and not all is done"
                )
                return
            if now - told > _LINE_S:
                self._tell(now - began, "all is well again")
                told = now
            self._driver.look_after()
            time.sleep(_LOOK_S)
        self._findings.drain_s = time.monotonic() - began
        self._wait_for_the_broker()

    def tell_again(self) -> None:
        """Of every object, when all is over: nothing must come of it."""
        keys = list(self._work.inputs)
        for at in range(0, len(keys), _BATCH):
            records = [
                {
                    "eventName": "s3:ObjectCreated:Put",
                    "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}},
                }
                for key in keys[at : at + _BATCH]
            ]
            request = Request(
                f"http://127.0.0.1:{self._stack.dispatcher_port}/events/minio",
                json.dumps({"Records": records}).encode(),
                {"Authorization": f"Bearer {TOKEN}"},
            )
            with urlopen(request, timeout=60) as answer:
                assert answer.status == 204
        self._wait_for_the_broker()

    def end(self) -> None:
        """Every role stops in order and leaves nothing on the machine."""
        self._driver.end()
        scratch = self._stack.folder / "data" / "worker" / "scratch"
        left = [path.name for path in scratch.iterdir()]
        self._findings.problems += [f"{name} was left in {scratch}" for name in left]
        self._findings.problems += self._driver.failures
        self._findings.exits = self._driver.exits
        self._findings.events = self._driver.news.count
        self._findings.struck = Counter({str(name): n for name, n in self._driver.link.hit.items()})

    def _states(self) -> dict[str, str]:
        """Of every job; an attempt more or less is another state."""
        with Session(self._stack.engine) as session:
            rows = session.execute(select(Job.id, Job.state, Job.fence)).all()
        return {id: f"{state} {fence}" for id, state, fence in rows}

    def _over(self, states: dict[str, str]) -> bool:
        """Whether every job that was asked for is there, and none is under way."""
        ended = all(state.startswith(_TERMINAL) for state in states.values())
        return ended and self._work.expected.keys() <= states.keys()

    def _wait_for_the_broker(self) -> None:
        """Deliveries of jobs that are over are taken and dropped."""
        until = time.monotonic() + EMPTY_WITHIN_S
        while (left := self._left()) and time.monotonic() < until:
            self._driver.look_after()
            time.sleep(_LOOK_S)
        if left:
            self._findings.problems.append(f"{left} deliveries were left with the broker")

    def _left(self) -> int:
        with self._driver.broker.client() as client:
            waiting = sum(int(client.llen(queue)) for queue in functions().queues())  # type: ignore[arg-type]
            return waiting + int(client.hlen("unacked"))  # type: ignore[arg-type]

    def _tell(self, at_s: float, what: str) -> None:
        try:
            with Session(self._stack.engine) as session:
                rows = session.execute(select(Job.state, func.count()).group_by(Job.state))
                counts = dict(rows.all())
        except DBAPIError:
            counts = {}
        found = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
        deeds = f"{self._feeder.done}/{len(self._work.deeds)} deeds"
        self._say(f"{int(at_s) // 60:02d}:{int(at_s) % 60:02d} {what or '-':60} {deeds}; {found}")


def test_whatever_happens_every_job_ends_once_and_makes_the_same(
    seed: int,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The clean run tells nobody what it hears; the model is the same in both.
    monkeypatch.setenv("LIVEPATH_BUS_URL", f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    monkeypatch.setenv("LIVEPATH_SPEECH_THREADS", "1")
    seconds = int(pytestconfig.getoption("--seconds"))
    jobs = int(pytestconfig.getoption("--jobs"))
    console = Console(stderr=True)
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    findings = Findings(seed, seconds, jobs)
    with capsys.disabled():
        say(f"\nchaos: --seed {seed} --seconds {seconds} --jobs {jobs}")
        try:
            chaos(findings, tmp_path, say)
        except BaseException:
            say(f"chaos: --seed {seed} was not finished")
            raise
        findings.print(Console(width=None if sys.stdout.isatty() else 120))
    if path := pytestconfig.getoption("--json"):
        path.write_text(json.dumps(findings.as_json(), indent=1) + "\n")
    assert findings.problems == [], f"seed {seed}"


def chaos(findings: Findings, folder: Path, say: Callable[[str], None]) -> None:
    """Both runs, and what they show."""
    happenings = schedule(findings.seed, findings.seconds)
    work = workload(findings.seed, findings.wanted, findings.seconds)
    say(f"{len(work.expected)} jobs, {len(work.deeds)} deeds, {len(happenings)} disturbances")
    (folder / "clean").mkdir()
    (folder / "chaos").mkdir()
    began = time.monotonic()
    clean = clean_run(work, folder / "clean", say)
    findings.clean_s = time.monotonic() - began
    with world(folder / "chaos", findings.seed) as driver:
        run = Run(driver, work, findings, say)
        run.start()
        run.disturb(happenings)
        run.drain()
        run.tell_again()
        run.end()
        found = patiently(lambda: gathered(driver.stack.engine, driver.stack.store))
        findings.count(found)
        findings.problems += problems(clean, found, poison=work.poison)
        for log in driver.ended_badly:
            say(f"--- the end of {log.name}\n{log.read_text(errors='replace')[-_TAIL:]}")
        if findings.problems:
            say(driver.stack.logs())
