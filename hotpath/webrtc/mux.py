"""One UDP (and TCP) port for every viewer and publisher: sockets and demultiplexing.

Invariant: nothing is answered but authentic checks and what their senders' DTLS calls for, so no
reply goes to an address that has not proved itself; no state is kept for anyone else. A wakeup
takes at most `_DRAIN` datagrams a socket, so a flood shares the loop instead of owning it.

Upstream: `sockets`. Downstream: `Peer`s, and `PeerTimers`, which poll them. Spec: RFC 7983 7 (by
the first byte), RFC 8445 7.3 (by USERNAME), then by address.
"""

import asyncio
import errno
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hotpath.webrtc import certificate, dtls, sockets, stun
from hotpath.webrtc.candidate import Candidate, host_candidates
from hotpath.webrtc.dtls import Step
from hotpath.webrtc.errors import Overloaded, StunError
from hotpath.webrtc.handler import Intake, PeerHandler, RoleHint
from hotpath.webrtc.handshake import Work
from hotpath.webrtc.handshake_pool import HandshakePool
from hotpath.webrtc.ice_events import Credentials
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.peer_timers import PeerTimers
from hotpath.webrtc.routing import RoutingTable
from hotpath.webrtc.stun import Address, Kind, Message
from hotpath.webrtc.tcp_links import TcpLink, TcpLinks

log = logging.getLogger(__name__)

_DRAIN = 64
_MAX_DATAGRAM = 2048
_MIN_MEDIA = 8


@dataclass(frozen=True, slots=True)
class MuxLimits:
    peers: int = 4096
    handshake_steps: int = 512
    """Steps that wait for a handshake thread."""
    handshake_timeout_ns: int = 30_000_000_000
    """From the SDP answer to the end of DTLS."""
    consent_ns: int = 15_000_000_000
    """Without an authentic packet for this long a peer is gone."""
    tcp_links: int = 4096
    tcp_strangers: int = 1024
    """TCP connections that have not proved themselves."""


class Mux:
    def __init__(
        self,
        hosts: Sequence[str],
        port: int,
        *,
        advertise: Sequence[str] = (),
        tcp: bool = True,
        handshake_threads: int = 2,
        limits: MuxLimits = MuxLimits(),
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Binds, or raises `PortError`. `advertise`: addresses or names that lead here through NAT,
        told first."""
        self.counters: Counter[str] = Counter()
        self.now = now
        self._limits = limits
        self.intake: Intake | None = None
        """What receives, where it is not the sockets themselves. Set it before `run`."""
        self._sockets = sockets.bind(hosts, port, tcp=tcp)
        self.port = self._sockets.port
        reachable = (*sockets.resolved(advertise), *self._sockets.addresses)
        self.candidates: Sequence[Candidate] = host_candidates(reachable, self.port, tcp=tcp)
        own = certificate.generate()
        self.fingerprint = own.fingerprint
        self.context = dtls.context(own)
        self._udp = {bound.fileno(): bound for bound in self._sockets.udp}
        self._table = RoutingTable()
        self._table.by_address = {fd: {} for fd in self._udp}
        self._pool = HandshakePool(handshake_threads, limits.handshake_steps)
        self._peers: set[Peer] = set()
        self._tcp = TcpLinks(
            self._sockets.tcp,
            self._receive_frame,
            self.counters,
            now,
            most=limits.tcp_links,
            most_strangers=limits.tcp_strangers,
        )
        self._timers = PeerTimers(self._peers, self._tcp.sweep, now)

    @property
    def peers(self) -> int:
        return len(self._peers)

    def open(self, handler: PeerHandler, *, role_hint: RoleHint) -> Peer:
        """A peer that waits for its SDP (`Peer.accept`) and then for its first check."""
        if len(self._peers) >= self._limits.peers:
            raise Overloaded(f"this node has its {self._limits.peers} WebRTC peers")
        peer = Peer(
            self,
            handler,
            role_hint,
            seed=secrets.token_bytes(16),
            consent_ns=self._limits.consent_ns,
            deadline_ns=self.now() + self._limits.handshake_timeout_ns,
        )
        self._peers.add(peer)
        return peer

    async def run(self) -> None:
        """Serve until cancelled; then every peer is closed."""
        loop = asyncio.get_running_loop()
        try:
            for fd, bound in self._udp.items():
                loop.add_reader(fd, self._drain, fd, bound)
            await self._tcp.start()
            await self._timers.run()
        finally:
            for fd in self._udp:
                loop.remove_reader(fd)
            self.close()

    def close(self) -> None:
        """What `run` does at its end; for a mux that never ran. Idempotent."""
        for peer in list(self._peers):
            peer.close()
        self._pool.close()
        self._tcp.close()
        self._sockets.close()

    def receive(self, fd: int, data: bytes, source: Address, now: int, received_ns: int) -> None:
        """One UDP datagram, of anyone; `received_ns`: Unix ns."""
        route = self._table.by_address[fd].get(source)
        first = data[0] if data else 255
        if first < 4:
            self._receive_stun(fd, data, source, route, now)
        elif route is None:
            self.counters[f"dropped-{_kind(first)}-of-stranger"] += 1
        else:
            self._receive_known(route, data, now, received_ns)

    # What a peer needs of its mux (`PeerShell`).

    def send(self, path: Path, data: bytes) -> None:
        if path.address is None:
            self._tcp.send(path.fd, data)
            return
        try:
            self._udp[path.fd].sendto(data, path.address)
        except BlockingIOError:
            self.counters["dropped-send-full"] += 1
        except OSError as error:
            self.counters[f"send-error-{errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1

    def submit(self, work: Work, done: Callable[[Step], None]) -> bool:
        return self._pool.submit(work, done)

    def watch(self, peer: Peer) -> None:
        self._timers.watch(peer)

    def new_credentials(self, peer: Peer) -> Credentials:
        """RFC 8445 5.3: at least 24 bits of ufrag and 128 bits of password."""
        ufrag = secrets.token_hex(4)
        while ufrag in self._table.by_ufrag:
            ufrag = secrets.token_hex(4)
        self._table.name(ufrag, peer)
        return Credentials(ufrag, secrets.token_hex(16))

    def retire(self, ufrag: str) -> None:
        self._table.unname(ufrag)

    def forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        self._timers.forget(peer)
        self._tcp.forget(peer)
        self._table.forget(peer)

    def _drain(self, fd: int, bound: socket.socket) -> None:
        """The socket stays readable while more waits, so the loop comes back to it."""
        now, received_ns = self.now(), time.time_ns()
        for data, source in self._waiting(fd, bound, now):
            self.receive(fd, data, source, now, received_ns)

    def _waiting(self, fd: int, bound: socket.socket, now: int) -> Iterator[tuple[bytes, Address]]:
        try:
            if self.intake is not None:
                taken, others = self.intake.receive(fd, now)
                self.counters["media"] += taken
                yield from others
                return
            for _ in range(_DRAIN):
                data, source = bound.recvfrom(_MAX_DATAGRAM)
                yield data, _plain(source) if len(source) == 4 else source
        except BlockingIOError:
            return
        except OSError as error:
            self.counters[f"receive-error-{errno.errorcode.get(error.errno or 0)}"] += 1

    def _receive_known(
        self, route: tuple[Peer, Path], data: bytes, now: int, received_ns: int
    ) -> None:
        peer, path = route
        kind = _kind(data[0]) if data else "garbage"
        self.counters[kind] += 1
        if kind == "media" and len(data) >= _MIN_MEDIA:
            peer.receive_media(data, path, now, received_ns)
        elif kind == "dtls":
            peer.receive_dtls(data, path, now)

    def _receive_stun(
        self,
        fd: int,
        data: bytes,
        source: Address,
        route: tuple[Peer, Path] | None,
        now: int,
    ) -> None:
        message = self._parse(data)
        if message is None:
            return
        if message.kind is not Kind.REQUEST:
            if route is None:
                self.counters["dropped-stun-of-stranger"] += 1
            else:
                route[0].receive_stun(message, data, route[1], source, now)
            return
        peer = self._addressed(message)
        if peer is None:
            return
        known = route is not None and route[0] is peer
        path = route[1] if route and known else Path(fd, source)
        reply = peer.receive_stun(message, data, path, source, now)
        if reply is None:
            self.counters["dropped-stun-forged"] += 1
            return
        self.send(path, reply)
        if not known and not peer.closed:
            if not self._table.lead(path, peer, now):
                self.counters["route-held"] += 1
            self._settle(peer)

    def _parse(self, data: bytes) -> Message | None:
        self.counters["stun"] += 1
        ufrag = stun.leading_ufrag(data)
        if ufrag is not None and ufrag not in self._table.by_ufrag:
            self.counters["dropped-stun-unknown-user"] += 1
            return None
        try:
            return stun.parse(data)
        except StunError:
            self.counters["dropped-stun-malformed"] += 1
            return None

    def _addressed(self, message: Message) -> Peer | None:
        peer = self._table.by_ufrag.get(message.local_ufrag or "")
        if peer is None:
            self.counters["dropped-stun-unknown-user"] += 1
        return peer

    def _receive_frame(self, link: TcpLink, frame: bytes) -> None:
        """One frame of an ICE-TCP connection; a stranger's first must be an authentic check."""
        now = self.now()
        if not frame or frame[0] >= 4:
            if link.route is None:
                self.counters["dropped-tcp-of-stranger"] += 1
                link.close()
            else:
                self._receive_known(link.route, frame, now, time.time_ns())
            return
        message = self._parse(frame)
        peer = None
        if message is not None and message.kind is Kind.REQUEST:
            peer = self._addressed(message)
            if peer is not None and not peer.authentic(message, frame):
                self.counters["dropped-stun-forged"] += 1
                peer = None
        elif link.route is not None:
            peer = link.route[0]
        if message is None or peer is None or (link.route and link.route[0] is not peer):
            link.close()
            return
        path = self._tcp.adopt(link, peer)
        reply = peer.receive_stun(message, frame, path, link.address, now)
        if reply is not None:
            link.send(reply)
        if not peer.closed and path in peer.sources:
            peer.routes.add(path)
            self._settle(peer)

    def _settle(self, peer: Peer) -> None:
        """What the agent has forgotten, because others came, is let go here too."""
        for path in self._table.settle(peer):
            if path.address is None:
                self._tcp.drop(path.fd)


def _kind(first: int) -> str:
    """RFC 7983 7."""
    if 19 < first < 64:
        return "dtls"
    if 127 < first < 192:
        return "media"
    return "stun" if first < 4 else "garbage"


def _plain(source: tuple[str, int, int, int]) -> Address:
    """An IPv6 address with its zone, if it needs one."""
    host, port, _, scope = source
    return (f"{host}%{scope}" if scope else host), port
