"""What an LL-HLS viewer costs: µs of CPU per request, delay, memory; the same behind Varnish.

    make bench-hls        or: python benchmarks/hls.py [--clients 200 1000] [--json FILE]

One programme (720p30 H.264 at 2.3 Mbit/s, AAC, SRT with 120 ms of latency) for N players that
reload by blocking and fetch every part of the video rendition. CPU is user and system time of the
media process and its children. Gross is all of it over the requests answered; net is without what
the same process took just before with the same stream and no player. A second run that only
reloads tells a playlist's cost from a part's. Delay is the age of a part's newest frame, from its
encoder's clock, when the part has arrived; memory is the growth of private pages per player.

The floor, in the same run, is the same server library with an application that knows nothing and
answers as many bytes. Behind Varnish each player has a URL prefix of its own, so that each is
checked, as with tokens; the origin counts what it is asked: requests for playlists and media, for
each version and part, and checks of viewers a second. The floor of that is a bare Varnish, which
lets everybody in. Where there are two cores, the server has one, players and
publisher the other, and Varnish both, for the origin has little to do then.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file: the package is beside it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accounting import until_steady, usage
from benchmarks.fanout import cores
from benchmarks.hls_floor import floor_server
from benchmarks.hls_metrics import origin_requests
from benchmarks.livepath_server import livepath_server, on_cores
from edge.varnish import Origin, Varnish, VarnishMissing
from tests.support.webrtc import Node

CLIENTS = (200, 1000)
WIDTH = 150
SECRET = "the-secret-of-a-benchmark"
BARE = Path(__file__).with_name("bare.vcl")
SRT_LATENCY_MS = 120
PERIOD_S = 0.2
"""A part of the programme: six frames of 30 a second."""

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Plan:
    clients: tuple[int, ...]
    seconds: float
    varnish: bool
    memory: bool
    server_cores: tuple[int, ...]
    client_cores: tuple[int, ...]
    say: Callable[[str], None]


def play(plan: Plan, url: str, clients: int, pids: Sequence[int], *options: str) -> Row:
    """Run the players in a process of their own; what they printed."""
    command = [sys.executable, "-m", "benchmarks.hls_clients", url, "-n", str(clients), *options]
    command += ["--seconds", str(plan.seconds), "--ramp", str(max(1.0, clients / 200))]
    command += [f"--server-pid={pid}" for pid in pids]
    command += [f"--core={core}" for core in plan.client_cores]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the players failed with status {done.returncode}")
    found: Row = json.loads(done.stdout)
    return found


def costs(both: Row, reloads: Row, idle_share: float) -> Row:
    """µs per request; `idle_share` is the CPU that the stream alone takes, in cores."""

    def net_s(row: Row) -> float:
        return float(row["servers"][0]["cpu_s"]) - idle_share * float(row["window_s"])

    requests = max(1, both["playlists"] + both["parts"])
    playlist = net_s(reloads) / max(1, reloads["playlists"])
    part = (net_s(both) - playlist * both["playlists"]) / max(1, both["parts"])
    return {
        "us_gross": round(1e6 * both["servers"][0]["cpu_s"] / requests, 1),
        "us_net": round(1e6 * net_s(both) / requests, 1),
        "us_playlist": round(1e6 * playlist, 1),
        "us_part": round(1e6 * part, 1),
        "idle_cores": round(idle_share, 4),
    }


def idle_cores(pid: int, seconds: float) -> float:
    before, began = usage([pid]), time.monotonic()
    time.sleep(seconds)
    return usage([pid]).since(before) / (time.monotonic() - began)


def livepath(plan: Plan, clients: int) -> Rows:
    """The origin alone, then the floor of the same size, then the origin behind Varnish."""
    rows: Rows = []
    with livepath_server(
        cores=plan.server_cores, srt_latency_ms=str(SRT_LATENCY_MS), edge_secret=SECRET
    ) as node:
        pid, url = node.media.pid, f"{node.event_url}/video.m3u8"
        if plan.memory:
            plan.say("until the window is full and memory steady ...")
            until_steady(pid)
        plan.say("the stream and no player ...")
        idle = idle_cores(pid, plan.seconds)
        plan.say(f"livepath, {clients} players ...")
        both = play(plan, url, clients, [pid])
        reloads = play(plan, url, clients, [pid], "--playlists-only")
        rows.append(row("livepath", both, costs(both, reloads, idle), memory=plan.memory))
        plan.say(f"floor, {clients} players ...")
        rows.append(floor(plan, clients, both))
        if plan.varnish:
            plan.say(f"livepath behind Varnish, {clients} players ...")
            rows.append(behind_varnish(plan, node, clients, idle))
            plan.say(f"the same behind a bare Varnish, {clients} players ...")
            rows.append(behind_varnish(plan, node, clients, idle, bare=True))
    return rows


def floor(plan: Plan, clients: int, like: Row) -> Row:
    sizes = like["playlist_bytes"], like["part_bytes"]
    with floor_server(*sizes, PERIOD_S, plan.server_cores) as (url, pid):
        both = play(plan, url, clients, [pid], "--probes=0")
        reloads = play(plan, url, clients, [pid], "--playlists-only")
    return row("floor", both, costs(both, reloads, 0.0), memory=False)


def behind_varnish(plan: Plan, node: Node, clients: int, idle: float, *, bare: bool = False) -> Row:
    cores, origin = (*plan.server_cores, *plan.client_cores), Origin(node.origin, SECRET)
    with on_cores(cores), Varnish(origin, vcl=BARE) if bare else Varnish(origin) as varnish:
        url = f"{varnish.url}/live/{node.event_url.partition('/live/')[2]}/video.m3u8"
        before, checks = origin_requests(node.origin), f"--origin={node.origin}"
        both = play(plan, url, clients, [node.media.pid, varnish.pid], "--prefixes", checks)
        asked = origin_requests(node.origin) - before
    requests = max(1, both["playlists"] + both["parts"])
    origin_s, edge_s = (float(server["cpu_s"]) for server in both["servers"])
    found = {
        "us_gross": round(1e6 * origin_s / requests, 1),
        "us_net": round(1e6 * (origin_s - idle * both["window_s"]) / requests, 1),
        "us_edge": round(1e6 * edge_s / requests, 1),
        "origin_requests_per_version_and_part": round(
            asked / max(1, both["versions"] + both["names"]), 2
        ),
        "checks_per_s": both["checks_per_s"],
    }
    return row("bare varnish" if bare else "behind varnish", both, found, memory=False)


def row(name: str, both: Row, found: Row, *, memory: bool) -> Row:
    made = {"server": name, "clients": both["clients"], **found}
    if memory:
        server = both["servers"][0]
        grown = server["private_kb"] - server["private_kb_before"]
        made["kb_per_client"] = round(grown / both["clients"], 1)
    names = ("delay_ms", "requests_per_s", "mbit_per_s", "refused", "stale", "versions", "names")
    return made | {n: both[n] for n in (*names, "client_us_per_request")}


def table(rows: Rows) -> Table:
    made = Table(title="LL-HLS: µs of server CPU per request", box=SIMPLE)
    columns = {
        "server": "server",
        "clients": "players",
        "us_gross": "gross",
        "us_net": "net",
        "us_playlist": "playlist",
        "us_part": "part",
        "us_edge": "edge",
        "kb_per_client": "KB/player",
        "requests_per_s": "requests/s",
        "origin_requests_per_version_and_part": "to origin",
        "checks_per_s": "checks/s",
        "refused": "refused",
    }
    for heading in (*columns.values(), "delay p50/p95"):
        made.add_column(heading, justify="left" if heading == "server" else "right")
    for one in rows:
        delay = one["delay_ms"]
        cells = ["–" if one.get(name) is None else str(one[name]) for name in columns]
        made.add_row(*cells, f"{delay['p50']} / {delay['p95']}" if delay else "–")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--seconds", type=float, default=10.0, help="each measurement's window")
    parser.add_argument("--no-varnish", action="store_true", help="the origin alone")
    parser.add_argument(
        "--no-memory", action="store_true", help="memory is not waited for to settle"
    )
    parser.add_argument("--json", type=Path, help="also write the results here")
    given = parser.parse_args()
    progress, terminal = Console(stderr=True), sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH)
    plan = Plan(
        tuple(given.clients),
        given.seconds,
        not given.no_varnish,
        not given.no_memory,
        *cores(),
        progress.print,
    )
    rows: Rows = []
    for clients in plan.clients:
        try:
            rows += livepath(plan, clients)
        except VarnishMissing as error:
            progress.print(f"left out: {error}")
            return 2
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
