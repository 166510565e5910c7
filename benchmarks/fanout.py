"""What a viewer costs: µs of CPU per packet, and memory, for this server, its floor and its peers.

    make bench-fanout        or: python benchmarks/fanout.py [--viewers N ...] [--json FILE]

All servers send the same programme (720p30 H.264 at 2.3 Mbit/s, Opus) to the same clients in the
same run. CPU is user and system time of the server's process and its children, everything included
(ingest, packaging, signalling, RTCP), divided by the packets that arrived at clients. Memory is the
growth of its private pages for each viewer behind the first. AES-GCM unless the column says CM.
Where there are two cores, server and clients have one each. Before memory is measured this server
gets the minutes that its LL-HLS window takes to fill, which has nothing to do with viewers; with
fewer than `MEMORY_FROM` viewers the figure would be noise and is left out.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file: the package is beside it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import floor
from benchmarks.accounting import until_steady
from benchmarks.aiortc_server import aiortc_server
from benchmarks.janus import JanusMissing, janus_server
from benchmarks.livepath_server import NEVER_BUSY, livepath_server, on_cores

VIEWERS = (1, 10, 100, 300, 1000)
AIORTC_CEILING, JANUS_CEILING = 40, 300
MEMORY_FROM = 100
CONTENDERS = ("livepath", "floor", "aiortc", "janus")


@dataclass(frozen=True)
class Target:
    """A server that runs."""

    url: str
    pid: int
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    viewers: tuple[int, ...]
    seconds: float
    rate: float
    profiles: tuple[str, ...]
    memory: bool
    server_cores: tuple[int, ...]
    client_cores: tuple[int, ...]


Row = dict[str, Any]
Results = dict[str, dict[str, Row]]


def clients(target: Target, viewers: int, profile: str, plan: Plan) -> dict[str, Any]:
    """Run the load clients in a process of their own; what they printed."""
    command = [sys.executable, "-m", "benchmarks.whep_clients", target.url, *target.options]
    command += ["-n", str(viewers), "--seconds", str(plan.seconds), "--rate", str(plan.rate)]
    command += ["--server-pid", str(target.pid), "--profile", profile]
    for core in plan.client_cores:
        command += ["--core", str(core)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"the clients failed with status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextmanager
def _livepath(plan: Plan) -> Iterator[Target]:
    with livepath_server(cores=plan.server_cores, **NEVER_BUSY) as server:
        yield Target(server.whep_url, server.media.pid)


@contextmanager
def _aiortc(plan: Plan) -> Iterator[Target]:
    with on_cores(plan.server_cores), aiortc_server() as (url, pid):
        yield Target(url, pid)


@contextmanager
def _janus(plan: Plan) -> Iterator[Target]:
    with janus_server(plan.server_cores) as server:
        yield Target(server.url, server.pid, ("--signalling", "janus", "--host", server.host))


SERVERS: dict[str, tuple[Callable[[Plan], Any], int]] = {
    "livepath": (_livepath, sys.maxsize),
    "aiortc": (_aiortc, AIORTC_CEILING),
    "janus": (_janus, JANUS_CEILING),
}


def measure(name: str, plan: Plan, say: Callable[[str], None]) -> Iterator[tuple[int, Row]]:
    """(viewers, row) of one contender; a server is started afresh for each."""
    server, ceiling = SERVERS.get(name, (None, sys.maxsize))
    beyond = max(plan.viewers) > ceiling
    for viewers in sorted(
        {v for v in plan.viewers if v <= ceiling} | ({ceiling} if beyond else set())
    ):
        if server is None:
            say(f"floor, {viewers} viewers ...")
            with on_cores(plan.client_cores):
                yield viewers, floor.measure(viewers, plan.seconds, plan.server_cores)
            continue
        row: Row = {}
        for profile in plan.profiles:
            say(f"{name}, {viewers} viewers, {profile} ...")
            with server(plan) as target:
                if (
                    plan.memory
                    and name == "livepath"
                    and profile == "gcm"
                    and viewers >= MEMORY_FROM
                ):
                    until_steady(target.pid)
                found = clients(target, viewers, profile, plan)
            _take(name, plan.memory, row, found, profile)
        yield viewers, row


def _take(name: str, memory: bool, row: Row, found: dict[str, Any], profile: str) -> None:
    server = found["server"]
    if profile == "cm":
        row["us_per_packet_cm"] = server["us_per_packet"]
        return
    row["us_per_packet"] = server["us_per_packet"]
    if memory and (found["viewers"] >= MEMORY_FROM or name != "livepath"):
        row["kb_per_viewer"] = server["kb_per_viewer"]
    row["cores"] = server["cores"]
    names = ("connected", "pps_per_viewer", "lost", "socket_drops", "client_cores", "srtp")
    row |= {name: found[name] for name in names}
    if found["errors"]:
        row["errors"] = found["errors"]


def table(results: Results) -> Table:
    made = Table(title="Fan-out: µs of server CPU per packet per viewer")
    for heading in ("server", "viewers", "µs, GCM", "µs, CM", "KB/viewer", "packets/s", "lost"):
        made.add_column(heading, justify="left" if heading == "server" else "right")
    for name, rows in results.items():
        for viewers, row in rows.items():
            cells = [_cell(row.get(k)) for k in ("us_per_packet", "us_per_packet_cm")]
            cells += [_cell(row.get(k)) for k in ("kb_per_viewer", "pps_per_viewer", "lost")]
            made.add_row(name, viewers, *cells)
        made.add_section()
    return made


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


def cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(the server's core, the clients' core), where there are two."""
    found = sorted(os.sched_getaffinity(0))
    return ((found[0],), (found[-1],)) if len(found) > 1 else ((), ())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--viewers", type=int, nargs="+", default=list(VIEWERS))
    parser.add_argument("--seconds", type=float, default=10.0, help="each measurement's window")
    parser.add_argument("--rate", type=float, default=50.0, help="new viewers a second")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--no-cm", action="store_true", help="AES-GCM alone, in half of the time")
    parser.add_argument(
        "--no-memory", action="store_true", help="memory is not waited for to settle"
    )
    parser.add_argument("--json", type=Path, help="also write the results here")
    given = parser.parse_args()
    profiles = ("gcm",) if given.no_cm else ("gcm", "cm")
    plan = Plan(
        tuple(given.viewers), given.seconds, given.rate, profiles, not given.no_memory, *cores()
    )
    console, results = Console(), Results()
    progress = Console(stderr=True)
    for name in given.only:
        rows = results[name] = {}
        try:
            for viewers, row in measure(name, plan, progress.print):
                rows[str(viewers)] = row
                if given.json:  # after every row: a run takes a quarter of an hour
                    given.json.write_text(json.dumps(results, indent=1) + "\n")
        except JanusMissing as error:
            progress.print(f"janus is left out: {error}")
    console.print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
