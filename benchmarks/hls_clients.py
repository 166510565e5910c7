"""Many light LL-HLS players on one playlist: CPU of the server per request, and delay.

    python -m benchmarks.hls_clients http://127.0.0.1:8081/live/.../video.m3u8 -n 200

Each has two keep-alive connections: on one it reloads the playlist, blocking for the next part, on
the other it fetches each part that a reload lists as new. One thread and one epoll serve them all,
and a playlist that all get is parsed once, so that a client costs less than the server. Of a part
the `--probes` read the wall clock which `benchmarks.stamped` put into its newest frame; the others
read and drop. Prints one JSON object.
"""

import argparse
import json
import os
import random
import resource
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.accounting import Usage, usage
from benchmarks.hls_metrics import edge_checks
from benchmarks.hls_playlist import Listing, Playlists
from benchmarks.receive import DESCRIPTORS
from benchmarks.stamped import DIGITS, MARK
from benchmarks.whep_clients import percentiles

BUFFER = 1 << 18
RETRY_S = 0.2
HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


def newest_stamp(body: bytes) -> int | None:
    """The last stamp in a part, in µs."""
    at = body.rfind(MARK)
    digits = body[at + len(MARK) : at + len(MARK) + DIGITS] if at >= 0 else b""
    return int(digits) if digits.isdigit() else None


def spread(probes: int, clients: int) -> frozenset[int]:
    """Who reads stamps. A server answers in the order in which they asked, and they ask anew in the
    order of its answers, so the first to join would speak for the first to be served alone."""
    return frozenset((2 * n + 1) * clients // (2 * probes) for n in range(probes))


class BadAnswer(RuntimeError):
    """What came is no answer that a player could use."""


class Connection:
    """One keep-alive connection with one request at a time."""

    __slots__ = ("_head", "_kept", "_need", "_status", "answered", "keep", "socket")

    def __init__(
        self, address: tuple[str, int], answered: Callable[[int, bytes, int], None], *, keep: bool
    ) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.answered = answered
        """Called with status, body (empty unless `keep`) and the body's size."""
        self.keep = keep
        self._head = b""
        self._kept: list[bytes] = []
        self._need = -1
        """Bytes of the body that are still to come; -1: the head is."""
        self._status = (0, 0)

    def ask(self, request: bytes) -> None:
        if self.socket.send(request) != len(request):
            raise BadAnswer("the server does not read")

    def readable(self, buffer: memoryview) -> None:
        try:
            got = self.socket.recv_into(buffer)
        except BlockingIOError:
            return
        if not got:
            raise BadAnswer("the server closed a connection")
        if self._need < 0:
            self._begin(self._head + bytes(buffer[:got]))
            return
        self._need -= got
        if self.keep:
            self._kept.append(bytes(buffer[:got]))
        if self._need == 0:
            self._end()

    def _begin(self, data: bytes) -> None:
        end = data.find(HEAD_END)
        if end < 0:
            self._head = data
            return
        head = data[:end].lower() + b"\r\n"
        at = head.find(LENGTH)
        if at < 0:
            raise BadAnswer("an answer without Content-Length")
        size = int(head[at + len(LENGTH) : head.index(b"\r\n", at + 2)])
        self._head, self._status = b"", (int(head[9:12]), size)
        body = data[end + len(HEAD_END) :]
        self._need = size - len(body)
        if self.keep:
            self._kept.append(body)
        if self._need == 0:
            self._end()

    def _end(self) -> None:
        body = b"".join(self._kept)
        self._kept.clear()
        self._need = -1
        self.answered(self._status[0], body, self._status[1])


@dataclass(slots=True)
class Counts:
    """What arrived in the window."""

    playlists: int = 0
    parts: int = 0
    playlist_bytes: int = 0
    part_bytes: int = 0
    refused: int = 0
    stale: int = 0
    """Blocking reloads that brought nothing new."""
    delays_ms: list[float] = field(default_factory=list)


class Player:
    """One viewer."""

    def __init__(self, load: "Load", path: bytes, *, probe: bool) -> None:
        self._load = load
        self._path = path
        self._folder = path.rpartition(b"/")[0] + b"/"
        self._have: tuple[int, int] | None = None
        self._wanted: deque[bytes] = deque()
        self._fetching: bytes | None = None
        address = load.address
        self.reloads = Connection(address, self._listed, keep=True)
        self.media = Connection(address, self._fetched, keep=probe)
        self.retry_at: float | None = None

    def reload(self) -> None:
        """Block for what comes next, or begin."""
        self.retry_at = None
        query = b""
        if self._have is not None:
            query = b"?_HLS_msn=%d&_HLS_part=%d" % (self._have[0], self._have[1] + 1)
        self.reloads.ask(self._load.request(self._path + query))

    def _listed(self, status: int, body: bytes, size: int) -> None:
        counts = self._load.counts
        counts.playlists += 1
        counts.playlist_bytes += size
        if status != 200:
            counts.refused += 1
            self._have, self.retry_at = None, time.monotonic() + RETRY_S
            return
        listing = self._load.playlists.parsed(body)
        self._load.versions.add(listing.edge)
        if self._have is not None:
            counts.stale += listing.edge <= self._have
            self._take(listing)
        self._have = listing.edge
        self.reload()

    def _take(self, listing: Listing) -> None:
        if self._load.playlists_only:
            return
        self._wanted.extend(name for at, name in listing.parts if at > (self._have or at))
        self._fetch()

    def _fetch(self) -> None:
        if self._fetching is None and self._wanted:
            self._fetching = self._wanted.popleft()
            self.media.ask(self._load.request(self._folder + self._fetching))

    def _fetched(self, status: int, body: bytes, size: int) -> None:
        counts = self._load.counts
        counts.parts += 1
        counts.part_bytes += size
        counts.refused += status != 200
        if self._fetching is not None:
            self._load.names.add(self._fetching)
        stamp = newest_stamp(body) if body else None
        if stamp is not None:
            counts.delays_ms.append(time.time_ns() / 1e6 - stamp / 1e3)
        self._fetching = None
        self._fetch()


class Load:
    """All players of one run."""

    def __init__(
        self, url: str, *, playlists_only: bool, prefixes: bool, probes: frozenset[int]
    ) -> None:
        """`probes`: the numbers of those who read stamps."""
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.playlists_only = playlists_only
        self.playlists = Playlists()
        self.counts = Counts()
        self.versions: set[tuple[int, int]] = set()
        """Playlist positions that somebody got since the first one joined."""
        self.names: set[bytes] = set()
        """Parts that somebody fetched since then."""
        self._path = parts.path.encode()
        self._prefixes = prefixes
        self._probes = probes
        self._rest = (
            b" HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n" % parts.netloc.encode()
        )
        self._poll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._players: list[Player] = []
        self._buffer = memoryview(bytearray(BUFFER))

    def request(self, path: bytes) -> bytes:
        return b"GET " + path + self._rest

    def join(self) -> None:
        number = len(self._players)
        prefix = b"/t/viewer-%d" % number if self._prefixes else b""
        player = Player(self, prefix + self._path, probe=number in self._probes)
        self._players.append(player)
        for connection in (player.reloads, player.media):
            self._open[connection.socket.fileno()] = connection
            self._poll.register(connection.socket, select.EPOLLIN)
        player.reload()

    def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            for fileno, _ in self._poll.poll(min(left, RETRY_S)):
                self._open[fileno].readable(self._buffer)
            now = time.monotonic()
            for player in self._players:
                if player.retry_at is not None and player.retry_at <= now:
                    player.reload()

    def close(self) -> None:
        for connection in self._open.values():
            connection.socket.close()
        self._poll.close()


@dataclass(frozen=True, slots=True)
class Moment:
    at: float
    servers: tuple[Usage, ...]
    client_cpu: float
    checks: int | None
    """That the origin has answered; None: it is not asked."""


def moment(given: argparse.Namespace) -> Moment:
    checks = None if given.origin is None else edge_checks(given.origin)
    servers = tuple(usage([pid]) for pid in given.server_pid)
    return Moment(time.monotonic(), servers, time.process_time(), checks)


def run(given: argparse.Namespace) -> dict[str, Any]:
    load = Load(
        given.url,
        playlists_only=given.playlists_only,
        prefixes=given.prefixes,
        probes=spread(given.probes, given.clients),
    )
    before = moment(given)
    try:
        began = time.monotonic()
        for number in range(given.clients):
            load.join()
            load.run(
                max(
                    0.0,
                    began
                    + given.ramp * (number + random.random()) / given.clients
                    - time.monotonic(),
                )
            )
        load.run(given.settle)
        load.counts = Counts()
        first = moment(given)
        load.run(given.seconds)
        last = moment(given)
    finally:
        load.close()
    return result(given, load, before, first, last)


def result(
    given: argparse.Namespace, load: Load, before: Moment, first: Moment, last: Moment
) -> dict[str, Any]:
    counts = load.counts
    seconds = last.at - first.at
    requests = counts.playlists + counts.parts
    return {
        "clients": given.clients,
        "window_s": round(seconds, 3),
        "playlists": counts.playlists,
        "parts": counts.parts,
        "requests_per_s": round(requests / seconds, 1),
        "mbit_per_s": round((counts.playlist_bytes + counts.part_bytes) * 8e-6 / seconds, 1),
        "playlist_bytes": round(counts.playlist_bytes / max(1, counts.playlists)),
        "part_bytes": round(counts.part_bytes / max(1, counts.parts)),
        "checks_per_s": None
        if first.checks is None or last.checks is None
        else round((last.checks - first.checks) / seconds, 1),
        "refused": counts.refused,
        "stale": counts.stale,
        "versions": len(load.versions),
        "names": len(load.names),
        "delay_ms": percentiles(counts.delays_ms, 1),
        "client_us_per_request": round(
            1e6 * (last.client_cpu - first.client_cpu) / max(1, requests), 1
        ),
        "servers": [
            {
                "cpu_s": round(there.since(here), 2),
                "private_kb_before": alone.private_kb,
                "private_kb": there.private_kb,
            }
            for alone, here, there in zip(before.servers, first.servers, last.servers, strict=True)
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="of a media playlist")
    parser.add_argument("-n", "--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--origin", help="base URL of what counts the checks of an edge")
    parser.add_argument("--ramp", type=float, default=2.0, help="seconds in which they join")
    parser.add_argument("--settle", type=float, default=2.0)
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--server-pid", type=int, action="append", default=[])
    parser.add_argument("--playlists-only", action="store_true", help="reload and fetch nothing")
    parser.add_argument(
        "--prefixes", action="store_true", help="each viewer with a /t/... of its own"
    )
    parser.add_argument("--core", type=int, action="append", help="run on this core only")
    given = parser.parse_args()
    if given.core:
        os.sched_setaffinity(0, given.core)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    print(json.dumps(run(given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
