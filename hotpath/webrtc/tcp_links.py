"""All ICE-TCP connections of the port: how many there may be, and which is which.

Upstream: `tcp`. Downstream: `mux`, which is told every frame.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.tcp import TcpLink

__all__ = ["TcpLink", "TcpLinks"]

_PATIENCE_NS = 10_000_000_000
"""For a connection that has not sent an authentic check, and for one whose peer goes another way:
browsers connect to every TCP candidate though they use UDP."""
_MOST_STRANGERS_OF_ONE = 64
_GRAVE_NS = 2_000_000_000
"""How long a descriptor outlives its peer: a fan-out shard may be about to send to its number."""


@dataclass(slots=True, eq=False)
class _Grave:
    """A descriptor whose connection is gone but whose number must not be given to another yet."""

    peer: Peer
    path: Path
    pair: socket.socket
    close_at: int | None = None


class TcpLinks:
    def __init__(
        self,
        listening: Sequence[socket.socket],
        receive: Callable[[TcpLink, bytes], None],
        counters: Counter[str],
        now: Callable[[], int],
        *,
        most: int,
        most_strangers: int,
    ) -> None:
        self._listening = listening
        self._receive = receive
        self._counters = counters
        self._now = now
        self._most = most
        self._most_strangers = most_strangers
        self._strangers: set[TcpLink] = set()
        self._strangers_of: Counter[str] = Counter()
        self._by_fd: dict[int, TcpLink] = {}
        self._graves: list[_Grave] = []
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            server = await loop.create_server(self._accept, sock=listening)
            self._servers.append(server)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for link in (*self._strangers, *self._by_fd.values()):
            link.abort()
        for grave in self._graves:
            grave.pair.close()
        self._graves.clear()
        self._most = 0

    def adopt(self, link: TcpLink, peer: Peer) -> Path:
        """`link` has proved to be `peer`'s."""
        path = link.adopt(peer)
        self._no_stranger(link)
        self._by_fd[path.fd] = link
        link.deadline_ns = self._now() + _PATIENCE_NS
        return path

    def send(self, fd: int, data: bytes) -> None:
        link = self._by_fd.get(fd)
        if link is not None:
            link.send(data)
        else:
            self._counters["dropped-tcp-gone"] += 1

    def close_link(self, fd: int) -> None:
        link = self._by_fd.get(fd)
        if link is not None:
            link.close()

    def sweep(self, now: int) -> None:
        """Once a second: connections out of time, descriptors nobody can still use."""
        for link in list(self._by_fd.values()):
            if link.route is None or link.route[0].path == link.route[1]:
                link.deadline_ns = now + _PATIENCE_NS
            elif link.route[0].connected and now >= link.deadline_ns:
                self._counters["tcp-unused"] += 1
                link.close()
        for link in [stranger for stranger in self._strangers if now >= stranger.deadline_ns]:
            self._counters["tcp-strangers-timed-out"] += 1
            link.abort()
        for grave in list(self._graves):
            if grave.close_at is None:
                if grave.peer.closed or grave.peer.path != grave.path:
                    grave.close_at = now + _GRAVE_NS
            elif now >= grave.close_at:
                self._graves.remove(grave)
                grave.pair.close()

    # What a link needs (`TcpShell`).

    def link_opened(self, link: TcpLink) -> bool:
        strangers = len(self._strangers)
        if (
            strangers >= self._most_strangers
            or strangers + len(self._by_fd) >= self._most
            or self._strangers_of[link.address[0]] >= _MOST_STRANGERS_OF_ONE
        ):
            return False
        self._counters["tcp-accepted"] += 1
        self._strangers.add(link)
        self._strangers_of[link.address[0]] += 1
        return True

    def link_frame(self, link: TcpLink, frame: bytes) -> None:
        self._receive(link, frame)

    def link_closed(self, link: TcpLink) -> None:
        self._no_stranger(link)
        if link.route is not None:
            peer, path = link.route
            self._by_fd.pop(path.fd, None)
            peer.routes.discard(path)  # the number may come back as another peer's

    def bury(self, route: tuple[Peer, Path], pair: socket.socket) -> None:
        if self._most:
            self._graves.append(_Grave(*route, pair))
        else:
            pair.close()

    def count(self, what: str) -> None:
        self._counters[what] += 1

    def _no_stranger(self, link: TcpLink) -> None:
        if link in self._strangers:
            self._strangers.remove(link)
            self._strangers_of[link.address[0]] -= 1
            if not self._strangers_of[link.address[0]]:
                del self._strangers_of[link.address[0]]

    def _accept(self) -> TcpLink:
        return TcpLink(self, self._now() + _PATIENCE_NS)
