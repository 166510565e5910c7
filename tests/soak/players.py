"""Many light LL-HLS players for as long as it takes, spread over an event's renditions.

    python -m tests.soak.players http://127.0.0.1:8081/live/.../index.m3u8 -n 300 --seconds 1800

Each plays a video rendition and the sound, as real players do: blocking reloads on one connection
and the parts that they list on another, for both. It begins at the hold-back, changes its rendition
now and then at a segment boundary, and leaves after some minutes; another comes in its place. One
thread and one epoll serve them all. Every few seconds, and at the end, one line of JSON says what
they saw since the last.
"""

import argparse
import json
import random
import resource
import select
import sys
import time
from urllib.parse import urljoin, urlsplit

import httpx2

from benchmarks.hls_clients import RETRY_S, BadAnswer, Connection
from infra.demo.m3u8 import parse_multivariant
from infra.niceness import give_way
from tests.soak.playback import Listings
from tests.soak.player import Answered, Counts, Player, Track

DESCRIPTORS = 65_536
BUFFER = 1 << 18
REPORT_S = 5.0
FAILURES = (BadAnswer, OSError, ValueError)


class Load:
    """All players; see the module."""

    def __init__(self, url: str, renditions: list[str], audio: str | None, seed: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self.folder = parts.path.rpartition("/")[0].encode() + b"/"
        self.audio = audio
        self._renditions = renditions
        self.random = random.Random(seed)
        self.listings = Listings()
        self.counts = Counts()
        self.ended = False
        self._rest = (
            b" HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n" % parts.netloc.encode()
        )
        self._poll = select.epoll()
        self._open: dict[int, tuple[Track, Connection]] = {}
        self._players: list[Player] = []
        self._joined = 0
        self._buffer = memoryview(bytearray(BUFFER))

    def request(self, path: bytes) -> bytes:
        return b"GET " + path + self._rest

    def another(self, rendition: str) -> str:
        return self.random.choice([r for r in self._renditions if r != rendition] or [rendition])

    def open(self, track: Track, answered: Answered, *, keep: bool) -> Connection:
        connection = Connection(self._address, answered, keep=keep)
        self._open[connection.socket.fileno()] = (track, connection)
        self._poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _join(self) -> None:
        rendition = self._renditions[self._joined % len(self._renditions)]
        self._joined += 1
        self.counts.joins += 1
        try:
            self._players.append(Player(self, rendition))
        except FAILURES as error:
            self._count(error)

    def _leave(self, player: Player) -> None:
        if player in self._players:
            self._players.remove(player)
        for track in player.tracks:
            for connection in track.connections:
                self.forget(connection)

    def forget(self, connection: Connection) -> None:
        self._open.pop(connection.socket.fileno(), None)
        connection.socket.close()  # which also takes it out of the epoll

    def run(self, count: int, seconds: float, ramp_s: float) -> None:
        """`count` players, as many as have joined by then, until the time is over."""
        began = time.monotonic()
        looked, reported = began, began
        while (now := time.monotonic()) < began + seconds and not self.ended:
            due = count if now >= began + ramp_s else int(count * (now - began) / ramp_s) + 1
            if len(self._players) < due:
                self._join()
            for fileno, _ in self._poll.poll(0.02 if len(self._players) < due else RETRY_S):
                found = self._open.get(fileno)
                if found is not None:
                    self._read(*found)
            if now - looked >= 1.0:
                looked = now
                self._look(now)
            if now - reported >= REPORT_S:
                reported = now
                self.report()

    def _read(self, track: Track, connection: Connection) -> None:
        try:
            connection.readable(self._buffer)
        except FAILURES as error:
            if not track.reconnect(connection):
                self._count(error)
                self._leave(track.player)

    def _look(self, now: float) -> None:
        for player in list(self._players):
            try:
                player.look(now)
            except FAILURES as error:
                self._count(error)
                self._leave(player)
            else:
                if now >= player.leaves_at:
                    self._leave(player)

    def _count(self, error: Exception) -> None:
        """A player whom something fails leaves; another comes in its place."""
        if not self.ended:
            self.counts.errors[f"{type(error).__name__}: {error}"[:80]] += 1

    def report(self) -> None:
        counts, self.counts = self.counts, Counts()
        playing = sum(player.playhead.playing for player in self._players)
        line = {
            "players": len(self._players),
            "playing": playing,
            "cpu_s": round(time.process_time(), 2),
        }
        values = {name: getattr(counts, name) for name in Counts.__slots__}
        sys.stdout.write(json.dumps(line | values) + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        for player in list(self._players):
            self._leave(player)
        self._poll.close()


def playlists(url: str) -> tuple[list[str], str | None]:
    """Names of the video renditions and of the sound."""
    reply = httpx2.get(url, timeout=10, trust_env=False)
    reply.raise_for_status()
    variants = parse_multivariant(reply.text)
    audio = variants[0].audio
    names = [urljoin(url, one.video).rpartition("/")[2].removesuffix(".m3u8") for one in variants]
    return names, audio.rpartition("/")[2].removesuffix(".m3u8") if audio else None


def main() -> int:
    # Elsewhere those who watch take nothing from the node.
    give_way(19)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="of the multivariant playlist")
    parser.add_argument("-n", "--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--ramp", type=float, default=15.0, help="seconds in which they join")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    load = Load(given.url, *playlists(given.url), given.seed)
    try:
        load.run(given.clients, given.seconds, given.ramp)
    finally:
        load.report()
        load.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
