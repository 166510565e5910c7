"""One peer of the WebRTC port: ICE, DTLS and SRTP of one viewer or publisher.

Invariant: nothing but authenticated checks chooses where this peer's packets go, and nothing but
answers to them goes to an address that has not answered one of ours; the handler hears
`peer_connected` at most once and `peer_closed` exactly once, and nothing after it. All calls belong
to the event loop. A connected viewer holds no OpenSSL state.

Upstream: `mux` (datagrams, time). Downstream: `PeerHandler` (a viewer of the fan-out or a publisher
of the ingest). Spec: RFC 8445, RFC 5764, RFC 7675.
"""

import logging
from collections.abc import Callable
from functools import partial

from hotpath.webrtc.candidate import Candidate
from hotpath.webrtc.dtls import Connected, DtlsEngine, DtlsRole, Fingerprint, Step
from hotpath.webrtc.errors import Rejected
from hotpath.webrtc.handler import PeerHandler, PeerShell, RoleHint, RtcpOpener
from hotpath.webrtc.handshake import Handshake, Tail, Work
from hotpath.webrtc.ice import IceAgent
from hotpath.webrtc.ice_events import (
    ConsentExpired,
    Credentials,
    PathSelected,
    Retired,
    Send,
    Source,
)
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys
from hotpath.webrtc.srtp_session import SrtpReceiver, SrtpSender
from hotpath.webrtc.stun import Address, Message

log = logging.getLogger(__name__)


class Peer:
    __slots__ = (
        "_agent",
        "_deadline_ns",
        "_expected",
        "_handler",
        "_handshake",
        "_hint",
        "_opener",
        "_receiver",
        "_role",
        "_sender",
        "_shell",
        "_tail",
        "closed",
        "path",
        "pwd",
        "routes",
        "ufrag",
        "ufrags",
    )

    def __init__(
        self,
        shell: PeerShell,
        handler: PeerHandler,
        hint: RoleHint,
        *,
        seed: bytes,
        consent_ns: int,
        deadline_ns: int,
    ) -> None:
        """`deadline_ns`: when the handshake must be done."""
        self._shell = shell
        self._handler = handler
        self._hint = hint
        self._role: DtlsRole = "server"
        self._deadline_ns = deadline_ns
        self._expected: Fingerprint | None = None
        self._handshake: Handshake | None = None
        self._tail: Tail | None = None
        self._receiver: SrtpReceiver | None = None
        self._opener: RtcpOpener | None = None
        """Instead of a receiver, where the handler has its own."""
        self._sender: SrtpSender | None = None
        self.closed = False
        self.path: Path | None = None
        self.routes: set[Path] = set()
        """Kept by the mux: the addresses that lead to this peer."""
        self.ufrags: list[str] = []
        """Kept by the mux: those valid now."""
        credentials = shell.new_credentials(self)
        self.ufrag = credentials.ufrag
        self.pwd = credentials.pwd
        self._agent = IceAgent(credentials, seed=seed, consent_ns=consent_ns)

    @property
    def connected(self) -> bool:
        return self._tail is not None

    @property
    def round_trip_ns(self) -> int | None:
        """By our own checks, about every ten seconds."""
        return self._agent.round_trip_ns

    @property
    def busy(self) -> bool:
        return not self.closed and (self._handshake is not None or self._agent.busy)

    @property
    def sources(self) -> tuple[Source, ...]:
        return self._agent.sources

    def accept(
        self,
        remote_ufrag: str,
        remote_pwd: str,
        remote_fingerprint: str,
        dtls_role: DtlsRole,
    ) -> None:
        """What the peer's SDP says; `dtls_role` is this node's. Raises `DtlsError` for a
        fingerprint that cannot be used."""
        self._expected = Fingerprint.parse(remote_fingerprint)
        self._role = dtls_role
        self._agent.set_remote(Credentials(remote_ufrag, remote_pwd))
        self._begin()

    def restart(self, remote_ufrag: str, remote_pwd: str) -> tuple[str, str]:
        """An ICE restart: new local credentials; media goes on until the new ones are used.

        Nothing may lead to a closed peer again, so it has none."""
        if self.closed:
            raise RuntimeError(f"peer {self.ufrag} is closed")
        local = self._shell.new_credentials(self)
        self.ufrag, self.pwd = local.ufrag, local.pwd
        self._agent.restart(local, Credentials(remote_ufrag, remote_pwd))
        self._apply(self._shell.now())
        return local.ufrag, local.pwd

    def add_remote_candidate(self, candidate: Candidate) -> None:
        """A lite agent starts no checks (RFC 8445 2.5): the peer's own bring its addresses."""

    def send_rtp(self, plain: bytes) -> None:
        if self._sender is not None and self.path is not None:
            self._shell.send(self.path, self._sender.rtp(plain))

    def send_rtcp(self, plain: bytes) -> None:
        """Feedback to a publisher; a viewer's goes through the fan-out kernel."""
        if self._sender is not None and self.path is not None:
            self._shell.send(self.path, self._sender.rtcp(plain))

    def close(self, reason: str = "closed") -> None:
        if self.closed:
            return
        self.closed = True
        if self._tail is not None and self.path is not None and reason != "consent-expired":
            self._shell.send(self.path, self._tail.close_notify())
        self._handshake = self._receiver = self._sender = self._opener = None
        self._shell.counters[f"closed-{reason}"] += 1
        self._shell.forget(self)
        try:
            self._handler.peer_closed(reason)
        except Exception:  # one handler's bug must not reach another peer
            log.exception("the handler of peer %s failed", self.ufrag)

    def authentic(self, message: Message, data: bytes) -> bool:
        return self._agent.authentic(message, data)

    def holds(self, path: Path, now: int) -> bool:
        self._catch_up()
        return self._agent.holds(path, now)

    def receive_stun(
        self, message: Message, data: bytes, path: Path, address: Address, now: int
    ) -> bytes | None:
        """The reply to send to `path`; None: the message is not authentic or needs none."""
        is_tcp = path.address is None
        self._catch_up()
        reply = self._agent.receive(message, data, path, address, now, proven=is_tcp)
        self._apply(now)
        if self._handshake is not None:
            self._flush(self._handshake, now)  # it may have waited for the address to be proven
        return reply

    def receive_dtls(self, data: bytes, path: Path, now: int) -> None:
        if self._tail is not None:
            again = self._tail.receive(data, now)
            if again is None:
                self.close("dtls-closed")
                return
            for datagram in again if self._agent.proves(path) else ():
                self._shell.send(path, datagram)
        elif self._handshake is not None:
            self._handshake.receive(data, now)
            self._pump(now)
        else:
            self._shell.counters["dropped-dtls-early"] += 1

    def receive_media(self, data: bytes, path: Path, now: int, received_ns: int) -> None:
        """SRTP or SRTCP, by payload type (RFC 5761 4)."""
        if (self._receiver is None and self._opener is None) or self.closed:
            self._shell.counters["dropped-media-early"] += 1
            return
        rtcp = 192 <= data[1] <= 223
        if not rtcp and self._hint == "viewer":
            self._shell.counters["dropped-rtp-of-viewer"] += 1
            return
        try:
            plain = self._open(data, rtcp=rtcp)
        except Rejected as error:
            self._shell.counters[f"dropped-{error.cause}"] += 1
            return
        self._agent.heard(path, now)
        deliver = self._handler.peer_rtcp if rtcp else self._handler.peer_rtp
        self._tell(deliver, plain, received_ns)

    def _open(self, data: bytes, *, rtcp: bool) -> bytes:
        if rtcp and self._opener is not None:
            return self._opener.rtcp(data)
        if self._receiver is None:
            raise Rejected("rtp-unexpected")
        return self._receiver.rtcp(data) if rtcp else self._receiver.rtp(data)

    def _catch_up(self) -> None:
        """Hear of what the opener took meanwhile."""
        if self._opener is not None and self.path is not None:
            heard_ns = self._opener.heard_ns
            if heard_ns:
                self._agent.heard(self.path, heard_ns)

    def poll(self, now: int) -> None:
        """Whatever is due: resent flights, checks, the end of consent or patience."""
        if not self.closed:
            self._tell(self._poll, now)

    def _poll(self, now: int) -> None:
        self._catch_up()
        self._apply(now)
        if self._handshake is not None:
            self._pump(now)
        if self._tail is None and now >= self._deadline_ns:
            self.close("handshake-timeout")

    def _apply(self, now: int) -> None:
        for event in self._agent.poll(now):
            match event:
                case Send(data, Path() as path):
                    self._shell.send(path, data)
                case PathSelected(Path() as path):
                    self._moved(path)
                case Retired(ufrag):
                    self._shell.retire(ufrag)
                case ConsentExpired():
                    self.close("consent-expired")
                case _:
                    raise TypeError(event)
        if self._agent.busy:
            self._shell.watch(self)

    def _moved(self, path: Path) -> None:
        self.path = path
        if self._tail is not None:
            self._shell.counters["moves"] += 1
            self._tell(self._handler.peer_moved, path)
        else:
            self._begin()

    def _begin(self) -> None:
        """The handshake starts once there is an SDP and an address that may be answered."""
        if self._expected is None or self.path is None or self._handshake is not None:
            return
        engine = DtlsEngine(self._shell.context, self._role, self._expected)
        self._handshake = Handshake(engine, self._role)
        self._shell.watch(self)
        self._pump(self._shell.now())

    def _pump(self, now: int) -> None:
        handshake = self._handshake
        if handshake is None:
            return
        work = handshake.work()
        if work is not None and not self._shell.submit(work, partial(self._stepped, work)):
            self._shell.counters["dropped-dtls-busy"] += 1
            handshake.undo(work)
        self._flush(handshake, now)

    def _flush(self, handshake: Handshake, now: int) -> None:
        """What is due waits in the handshake until the address is proven: a flight is several
        times the request, and the request's source may be forged."""
        if self.path is not None and self._agent.proves(self.path):
            for datagram in handshake.poll(now):
                self._shell.send(self.path, datagram)

    def _stepped(self, work: Work, step: Step) -> None:
        handshake = self._handshake
        if handshake is None or self.closed:
            return
        now = self._shell.now()
        handshake.finish(work, step, now)
        self._flush(handshake, now)
        if handshake.error is not None:
            log.info("peer %s: DTLS %s", self.ufrag, handshake.error)
            self._shell.counters[f"dtls-failed-{handshake.error.cause}"] += 1
            self.close("handshake-failed")
        elif handshake.connected is not None:
            self._connect(handshake, handshake.connected, now)
        else:
            self._pump(now)

    def _connect(self, handshake: Handshake, connected: Connected, now: int) -> None:
        self._tail = handshake.tail()
        self._handshake = None
        self._shell.counters["connected"] += 1
        self._shell.counters["dtls-resent"] += handshake.resent
        if self._hint == "publisher":
            self._sender = SrtpSender(connected.keys)
        self._agent.establish(now)
        if self.path is not None:
            self._tell(self._tell_connected, connected.keys, self.path)
        if self._opener is None and not self.closed:
            self._receiver = SrtpReceiver(connected.keys)

    def _tell_connected(self, keys: SrtpKeys, path: Path) -> None:
        opener = self._handler.peer_connected(keys, path)
        if not self.closed:
            self._opener = opener

    def _tell(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception:  # one peer's bug must not reach another peer
            log.exception("peer %s or its handler failed", self.ufrag)
            self.close("handler-failed")
