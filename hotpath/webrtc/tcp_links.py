"""All ICE-TCP connections of the port: how many there may be, and which is which.

Invariant: a peer holds at most `MOST_OF_A_PEER` connections and one descriptor of a past one; a
connection that is closed is gone after `_PATIENCE_NS`, whether its peer reads what was sent or not.

Upstream: `tcp`. Downstream: `mux`, which is told every frame.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.tcp import TcpLink

__all__ = ["MOST_OF_A_PEER", "TcpLink", "TcpLinks"]

MOST_OF_A_PEER = 4
"""Connections: each holds three descriptors, and a client needs one for each address it tries."""
_PATIENCE_NS = 10_000_000_000
"""For a connection that has not sent an authentic check, and for one whose peer goes another way:
browsers connect to every TCP candidate though they use UDP."""
_MOST_STRANGERS_OF_ONE = 64


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
        """Adopted ones until they are gone."""
        self._of: dict[Peer, list[TcpLink]] = {}
        """Those that were neither closed nor dropped."""
        self._graves: dict[Peer, tuple[Path, socket.socket]] = {}
        """Descriptors whose connection is gone though it is its peer's path: a handler may still be
        told the number, so it must not be another's."""
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
        for _, pair in self._graves.values():
            pair.close()
        self._graves.clear()
        self._most = 0

    def adopt(self, link: TcpLink, peer: Peer) -> Path:
        """`link` has proved to be `peer`'s; of too many the longest unheard gives way, unless it is
        the one in use."""
        new = link.route is None
        if new:
            self._make_room(peer)
        path = link.adopt(peer)
        if new:
            self._no_stranger(link)
            self._by_fd[path.fd] = link
            self._of.setdefault(peer, []).append(link)
        link.deadline_ns = self._now() + _PATIENCE_NS
        return path

    def send(self, fd: int, data: bytes) -> None:
        link = self._by_fd.get(fd)
        if link is not None:
            link.send(data)
        else:
            self._counters["dropped-tcp-gone"] += 1

    def drop(self, fd: int) -> None:
        """Its peer's agent no longer knows it."""
        link = self._by_fd.get(fd)
        if link is not None:
            self._drop(link)

    def forget(self, peer: Peer) -> None:
        """It is closed: its connections too, when what was sent has left."""
        for link in self._of.pop(peer, ()):
            link.close()
        self._exhume(peer)

    def sweep(self, now: int) -> None:
        """Once a second: connections out of time, descriptors nobody can still use."""
        for link in list(self._by_fd.values()):
            if link.route is None:
                continue
            peer, path = link.route
            if peer.path == path and not peer.closed:
                link.deadline_ns = now + _PATIENCE_NS
            elif now >= link.deadline_ns and (peer.connected or peer.closed):
                self._counters["tcp-unread" if peer.closed else "tcp-unused"] += 1
                link.abort()
        for link in [stranger for stranger in self._strangers if now >= stranger.deadline_ns]:
            self._counters["tcp-strangers-timed-out"] += 1
            link.abort()
        for peer in [one for one, (path, _) in self._graves.items() if one.path != path]:
            self._exhume(peer)

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
            self._release(link)
            self._by_fd.pop(link.route[1].fd, None)

    def bury(self, route: tuple[Peer, Path], pair: socket.socket) -> None:
        peer, path = route
        if not self._most or peer.closed or peer.path != path:
            pair.close()
            return
        self._exhume(peer)
        self._graves[peer] = path, pair

    def count(self, what: str) -> None:
        self._counters[what] += 1

    def _make_room(self, peer: Peer) -> None:
        links = self._of.get(peer, [])
        if len(links) >= MOST_OF_A_PEER:
            spare = [one for one in links if one.route != (peer, peer.path)]
            self._drop(min(spare, key=lambda one: one.deadline_ns))

    def _drop(self, link: TcpLink) -> None:
        self._counters["tcp-dropped"] += 1
        self._release(link)
        link.abort()

    def _release(self, link: TcpLink) -> None:
        """It leads nowhere and makes room; its number may come back as another peer's."""
        if link.route is None:
            return
        peer, path = link.route
        peer.routes.discard(path)
        links = self._of.get(peer)
        if links and link in links:
            links.remove(link)
            if not links:
                del self._of[peer]

    def _exhume(self, peer: Peer) -> None:
        grave = self._graves.pop(peer, None)
        if grave is not None:
            grave[1].close()

    def _no_stranger(self, link: TcpLink) -> None:
        if link in self._strangers:
            self._strangers.remove(link)
            self._strangers_of[link.address[0]] -= 1
            if not self._strangers_of[link.address[0]]:
                del self._strangers_of[link.address[0]]

    def _accept(self) -> TcpLink:
        return TcpLink(self, self._now() + _PATIENCE_NS)
