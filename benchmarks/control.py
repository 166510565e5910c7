"""What the control API costs: event read and token issue, on SQLite and Postgres, beside a floor.

    make bench-control        or: python -m benchmarks.control [--seconds 5] [--json FILE]

One control process with a Valkey for its bus and its rate limits, as in production; clients in a
process of their own, each on a core where there are two. One client tells the time of an answer
without a queue, sixteen tell what a core can do: requests over the CPU time of the control process
(Postgres' own is not in it). The floor, in the same run, is FastAPI under the same server
with a route that answers the same bytes and knows nothing.

Token verification is what a media process does for a viewer: offline, with tokens it has not seen
(a join) and with ones it has (every request after that), in this process.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.control_floor import ISSUE, READ
from benchmarks.fanout import cores
from benchmarks.livepath_server import on_cores
from benchmarks.signalling import request
from infra.auth import tokens
from infra.auth.access import Access
from infra.auth.jws import EDDSA, HS256
from infra.auth.signing import new_private, private_key, public_key, public_of
from infra.auth.tokens import ViewerClaims
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer, free_port

CLIENTS = (1, 16)
TOKENS, ROUNDS = 1_000, 5
VERIFY_US = 30.0
NOW = 1_900_000_000
PATIENCE_S = 60.0
WIDTH = 130
KEY = "lp_" + "k" * 32

Row = dict[str, Any]
TOKEN_WANTED = '{"ttl_s": 600}'


@dataclass(frozen=True)
class Plan:
    seconds: float
    server_cores: tuple[int, ...]
    client_cores: tuple[int, ...]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Running:
    url: str
    pid: int


@contextmanager
def process(command: Sequence[str], environment: dict[str, str], ready: str) -> Iterator[int]:
    """A server on its core, until it answers at `ready`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], env=clean | environment, stdout=log, stderr=log
        )
        try:
            _await(server, ready, log)
            yield server.pid
        finally:
            server.kill()
            server.wait()


def _await(server: "subprocess.Popen[bytes]", url: str, log: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if request("GET", url)[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"a server did not start: {log.read()[-2000:].decode()}")


@contextmanager
def control(plan: Plan, database_url: str, bus_url: str) -> Iterator[Running]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="livepath-") as folder, on_cores(plan.server_cores):
        key = Path(folder) / "key"
        key.write_text(KEY)
        environment = {
            "LIVEPATH_DATABASE_URL": database_url,
            "LIVEPATH_BUS_URL": bus_url,
            "LIVEPATH_CONTROL_PORT": str(port),
            "LIVEPATH_BOOTSTRAP_API_KEY_FILE": str(key),
            # Never used up, and yet counted: milliseconds between two must not vanish in a double.
            "LIVEPATH_REQUESTS_PER_KEY": "10000000",
        }
        with process(["infra"], environment, f"{url}/readyz") as pid:
            yield Running(url, pid)


@contextmanager
def floor(plan: Plan, body: bytes) -> Iterator[Running]:
    port = free_port()
    with tempfile.NamedTemporaryFile() as file, on_cores(plan.server_cores):
        file.write(body)
        file.flush()
        url = f"http://127.0.0.1:{port}"
        command = ["benchmarks.control_floor", str(port), file.name]
        with process(command, {}, url + READ) as pid:
            yield Running(url, pid)


def load(plan: Plan, url: str, clients: int, pids: Sequence[int], *options: str) -> Row:
    command = [sys.executable, "-m", "benchmarks.control_clients", url, "-n", str(clients)]
    command += [f"--seconds={plan.seconds}", *(f"--server-pid={pid}" for pid in pids), *options]
    with on_cores(plan.client_cores):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the clients failed with status {done.returncode}")
    found: Row = json.loads(done.stdout)
    return found


def measure(plan: Plan, name: str, database_url: str, bus_url: str) -> list[Row]:
    rows = []
    with control(plan, database_url, bus_url) as running:
        event, body = _schedule(running.url)
        url = f"{running.url}/v1/events/{event}"
        token = ("--token", KEY)
        for clients in CLIENTS:
            plan.say(f"{name}, {clients} clients ...")
            read = load(plan, url, clients, [running.pid], *token)
            body_of = ("--body", TOKEN_WANTED)
            issued = load(plan, f"{url}/tokens", clients, [running.pid], *token, *body_of)
            rows += [{"server": name, "call": "event read", **read}]
            rows += [{"server": name, "call": "token issue", **issued}]
    with floor(plan, body) as bare:
        for clients in CLIENTS:
            plan.say(f"floor, {clients} clients ...")
            read = load(plan, bare.url + READ, clients, [bare.pid])
            posted = load(plan, bare.url + ISSUE, clients, [bare.pid], "--body", TOKEN_WANTED)
            rows += [{"server": "floor", "call": "event read", **read}]
            rows += [{"server": "floor", "call": "token issue", **posted}]
    return rows


def _schedule(url: str) -> tuple[str, bytes]:
    """The id of a new event, and the body of an answer that shows it."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    status, _, body = request("POST", f"{url}/v1/events", '{"name": "A benchmark"}', headers)
    if status != 201:
        raise RuntimeError(f"no event: status {status}, {body[:200]}")
    event = str(json.loads(body)["id"])
    _, _, shown = request("GET", f"{url}/v1/events/{event}", None, headers)
    return event, shown.encode()


def verification() -> Row:
    """µs for a token that was not seen before, and for one that was, by algorithm."""
    private = new_private()
    found: Row = {}
    for name, key, known in (
        (HS256, (secret := secrets.token_bytes(32)), secret),
        (EDDSA, private_key(private), public_key(public_of(private))),
    ):
        access = Access(lambda: NOW)
        access.set({"p_1": {"k1": known}}, {"ev_1": "token"})
        times = [_new_and_seen(access, number, key) for number in range(ROUNDS + 1)]
        new, seen = (statistics.median(each) for each in zip(*times[1:], strict=True))
        found[name] = {"new_us": new, "seen_us": seen}
    return {**found, "met": found[HS256]["new_us"] <= VERIFY_US}


def _new_and_seen(access: Access, number: int, key: tokens.SigningKey) -> tuple[float, float]:
    """One round; the first one finds the interpreter cold, as no viewer does."""
    made = [_token(number * TOKENS + n, NOW, key) for n in range(TOKENS)]
    return _check_all(access, made), _check_all(access, made)


def _token(number: int, now: int, key: tokens.SigningKey) -> str:
    claims = ViewerClaims(
        project="p_1",
        event="ev_1",
        path_prefix="/live/p_1/ev_1",
        subject=f"vw_{number}",
        issued_at=now,
        expires_at=now + 600,
        token_id=f"tk_{number}",
    )
    return tokens.issue(claims, key, "k1")


def _check_all(access: Access, made: Sequence[str]) -> float:
    began = time.process_time()
    for token in made:
        denied = access.check("p_1", "ev_1", "/live/p_1/ev_1/main/x/video.m3u8", token, "token")
        if denied is not None:
            raise RuntimeError(f"a good token is denied: {denied.reason}")
    return round(1e6 * (time.process_time() - began) / len(made), 1)


def table(rows: Sequence[Row]) -> Table:
    made = Table(title="Control API", box=SIMPLE)
    columns = {
        "server": "server",
        "call": "call",
        "clients": "clients",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
        "requests_per_s": "requests/s",
        "cpu_us": "µs CPU each",
        "requests_per_s_per_core": "requests/s per core",
    }
    for heading in columns.values():
        left = heading in ("server", "call")
        made.add_column(heading, justify="left" if left else "right")
    order = sorted(rows, key=lambda row: (row["call"], row["clients"]))
    for one in order:
        made.add_row(*(str(one[name]) for name in columns))
    return made


def databases(plan: Plan, folder: Path) -> Iterator[tuple[str, str]]:
    """(Name, URL); Postgres where it is installed."""
    yield "SQLite", f"sqlite:///{folder}/livepath.db"
    try:
        server = PostgresServer()
    except RuntimeError as error:
        plan.say(f"left out: {error}")
        return
    with server:
        yield "Postgres", server.create_database()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="each measurement's window")
    parser.add_argument("--json", type=Path, help="also write the results here")
    given = parser.parse_args()
    progress, terminal = Console(stderr=True), sys.stdout.isatty()
    console = Console(width=None if terminal else WIDTH)
    plan = Plan(given.seconds, *cores(), progress.print)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="livepath-") as folder:
        valkey = ValkeyServer(Path(folder))
        valkey.start()
        try:
            for name, url in databases(plan, Path(folder)):
                rows += measure(plan, name, url, valkey.url)
        finally:
            valkey.stop()
    checked = verification()
    if given.json:
        given.json.write_text(json.dumps({"api": rows, "tokens": checked}, indent=1) + "\n")
    console.print(table(rows))
    met = "met" if checked["met"] else "missed"
    for name, target in ((HS256, f" (target {VERIFY_US:g}: {met})"), (EDDSA, "")):
        console.print(
            f"token verification on a media node, {name}: {checked[name]['new_us']} µs for a new "
            f"one{target}, {checked[name]['seen_us']} µs for one that was seen"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
