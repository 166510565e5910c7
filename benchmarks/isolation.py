"""Does the cold path cost live viewers anything? Delays with it idle and saturated, in turns.

    make bench-isolation        or: python -m benchmarks.isolation [--pairs N] [--down]

A whole stack as `livepath up` starts it, with its default niceness. One publisher stamps every
frame with the wall clock (720p30 at 2.3 Mbit/s over SRT); WHEP viewers and LL-HLS players measure
how old the newest frame is when they have it. In each pair they do so for a minute while the cold
path has nothing to do, and for a minute while its queues are full and its worker encodes video on
all cores (`busy_function`); or, with `--down`, while dispatcher, worker and broker do not answer.
Publisher, viewers and players are processes with a session of their own, of normal priority.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from benchmarks import busy_function, trivial_function
from benchmarks.accounting import usage
from benchmarks.stamped import programme
from infra.db.engine import sync_engine
from infra.db.jobs import Job
from infra.jobs.filing import insert_new, job_row, requested
from infra.keys import ProgramKey
from tests.support.stack import RunningStack, stack_on_thread

COLD = ("valkey-broker", "dispatcher", "worker")
QUEUED = 200
"""Jobs of a saturated cold path, of which one runs at a time."""
MOST_MS = 20.0
LIVE_WITHIN_S, READY_WITHIN_S = 60.0, 60.0
SETTLE_S = 3.0
VIEWERS, PLAYERS = 5, 20

Window = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    pairs: int
    seconds: float
    down: bool
    say: Callable[[str], None]


class Machine:
    """The stack, an event on it that is live, and the load on its cold path."""

    def __init__(self, stack: RunningStack, engine: Engine, folder: Path) -> None:
        self._stack = stack
        self._engine = engine
        self._wanted = folder / "work-is-wanted"
        self._rounds = 0
        self.event: dict[str, Any] = {}

    @contextmanager
    def live(self) -> Iterator[None]:
        """An event with a publisher."""
        key = {"Authorization": f"Bearer {self._stack.api_key}"}
        url = self._stack.endpoints.control_url
        with httpx2.Client(base_url=url, headers=key, trust_env=False) as api:
            asked = api.post("/v1/events", json={"name": "isolation"})
            self.event = asked.raise_for_status().json()
            programme()  # encoded before it is wanted
            command = [sys.executable, "-m", "benchmarks.publisher"]
            publisher = apart([*command, self.event["ingest"]["srt"]["url"]])
            try:
                _until("the event is live", LIVE_WITHIN_S, lambda: self._state(api) == "live")
                yield
            finally:
                publisher.kill()
                publisher.wait()

    def _state(self, api: httpx2.Client) -> str:
        state: str = api.get(f"/v1/events/{self.event['id']}").raise_for_status().json()["state"]
        return state

    @contextmanager
    def saturated(self) -> Iterator[None]:
        """Queues that are full, and a worker that has all it can do."""
        self._wanted.touch()
        self._file()
        _until("the worker is busy", READY_WITHIN_S, lambda: self._count("running") > 0)
        try:
            yield
        finally:
            self._wanted.unlink()
            # What still waits finds nothing to do.
            _until("the queues are empty", READY_WITHIN_S, lambda: self._count() == 0)

    @contextmanager
    def down(self) -> Iterator[None]:
        """The cold path keeps its sockets and answers nothing."""
        for role in COLD:
            self._stack.pause(role)
        try:
            yield
        finally:
            for role in COLD:
                self._stack.resume(role)

    def _file(self) -> None:
        self._rounds += 1
        program = ProgramKey("default", self.event["id"])
        with Session(self._engine) as session, session.begin():
            for number in range(QUEUED):
                said = {"while": str(self._wanted), "number": number, "round": self._rounds}
                request = requested(
                    busy_function.NAME, program, said,
                    queue=busy_function.QUEUE, max_attempts=5, timeout_s=3_600,
                )  # fmt: skip
                insert_new(session, Job, job_row(request, time.time_ns() // 1_000_000))

    def _count(self, *states: str) -> int:
        """Of the busy function's jobs, those in these states, or those that are not over."""
        wanted = states or ("queued", "leased", "running", "retrying")
        statement = select(func.count()).select_from(Job)
        with Session(self._engine) as session:
            return session.execute(
                statement.where(Job.function == busy_function.NAME, Job.state.in_(wanted))
            ).scalar_one()

    def window(self, seconds: float) -> Window:
        """Delays over so many seconds, and what the cold path had meanwhile."""
        playback = self.event["playback"]
        worker = [self._stack.pid("worker")]
        length = ["--seconds", str(seconds)]
        whep = [playback["whep_url"], "-n", str(VIEWERS), "--probes", str(VIEWERS), *length]
        video = playback["hls_url"].replace("index.m3u8", "video.m3u8")
        hls = [video, "-n", str(PLAYERS), "--probes", str(PLAYERS), *length]
        before, began = usage(worker), time.monotonic()
        running = [
            apart([sys.executable, "-m", f"benchmarks.{module}", *arguments])
            for module, arguments in (("whep_clients", whep), ("hls_clients", hls))
        ]
        seen, heard = (json.loads(_output(process)) for process in running)
        cores = usage(worker).since(before) / (time.monotonic() - began)
        return {
            "whep_ms": seen["frame_latency_ms"],
            "whep_lost": seen["lost"],
            "hls_ms": heard["delay_ms"],
            "hls_refused": heard["refused"],
            "worker_cores": round(cores, 2),
            "jobs_waiting": self._count("queued"),
        }


def apart(command: list[str]) -> "subprocess.Popen[str]":
    """A process with a session of its own: Linux weighs sessions against each other, so whatever
    started this benchmark must not decide how much of the machine it gets."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _output(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} failed with status {process.returncode}")
    return output


def _until(what: str, within_s: float, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


@contextmanager
def machine() -> Iterator[Machine]:
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="livepath-")))
        path = trivial_function.install(folder / "packages", busy_function.__name__)
        stack = ends.enter_context(
            stack_on_thread(folder / "data", environment={"PYTHONPATH": path})
        )
        engine = sync_engine(stack.endpoints.database_url)
        ends.callback(engine.dispose)
        found = Machine(stack, engine, folder)
        ends.enter_context(found.live())
        yield found


def measure(plan: Plan) -> dict[str, Any]:
    plan.say("a stack is started, and a publisher ...")
    pairs: list[dict[str, Window]] = []
    with machine() as found:
        time.sleep(SETTLE_S)
        for number in range(1, plan.pairs + 1):
            plan.say(f"pair {number} of {plan.pairs}: idle ...")
            idle = found.window(plan.seconds)
            plan.say(f"pair {number} of {plan.pairs}: {'down' if plan.down else 'saturated'} ...")
            with found.down() if plan.down else found.saturated():
                time.sleep(SETTLE_S)
                pairs.append({"idle": idle, "loaded": found.window(plan.seconds)})
            plan.say(f"  p95 later by {_later(pairs[-1:])}")
            time.sleep(SETTLE_S)
    return {"down": plan.down, "seconds": plan.seconds, "pairs": pairs, **verdict(pairs)}


def verdict(pairs: list[dict[str, Window]]) -> dict[str, Any]:
    """How much later p95 is with the cold path loaded, on average over the pairs."""
    later = {
        name: round(statistics.mean(difference(pair, name) for pair in pairs), 1)
        for name in ("whep_ms", "hls_ms")
    }
    return {"p95_later": later, "met": all(abs(ms) <= MOST_MS for ms in later.values())}


def _later(pairs: list[dict[str, Window]]) -> str:
    later = verdict(pairs)["p95_later"].items()
    return ", ".join(f"{name[:-3]} {ms:+.1f} ms" for name, ms in later)


def difference(pair: dict[str, Window], name: str) -> float:
    return float(pair["loaded"][name]["p95"] - pair["idle"][name]["p95"])


def table(found: dict[str, Any]) -> Table:
    state = "down" if found["down"] else "saturated"
    made = Table(title=f"Delay of live viewers, p50 / p95, cold path idle and {state}", box=SIMPLE)
    for heading in (
        "pair",
        *(
            f"{who} {what}"
            for who in ("WHEP", "LL-HLS")
            for what in ("idle", state, "p95 later by")
        ),
        "worker's cores",
        "jobs waiting",
    ):
        made.add_column(heading, justify="right")
    for number, pair in enumerate(found["pairs"], 1):
        cells: list[str] = []
        for name in ("whep_ms", "hls_ms"):
            cells += [f"{w[name]['p50']:g} / {w[name]['p95']:g}" for w in pair.values()]
            cells.append(f"{difference(pair, name):+.1f}")
        loaded = pair["loaded"]
        made.add_row(str(number), *cells, str(loaded["worker_cores"]), str(loaded["jobs_waiting"]))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each window")
    parser.add_argument("--down", action="store_true", help="the cold path does not answer")
    parser.add_argument("--json", type=Path, help="also write the results here")
    given = parser.parse_args()
    progress = Console(stderr=True, highlight=False)
    load = os.getloadavg()[0]
    found = measure(Plan(given.pairs, given.seconds, given.down, progress.print))
    found["load_at_start"] = round(load, 2)
    console = Console(width=150)
    console.print(table(found))
    later = _later(found["pairs"])
    word = "met" if found["met"] else "missed"
    console.print(f"p95 is later by: {later}; at most {MOST_MS:g} ms either way: {word}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
