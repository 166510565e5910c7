"""One WHIP session: its transport, its ICE identity and, once connected, its publisher.

Invariant: `begin` at most once; after `close` nothing reaches the sink or the network, and the sink
hears `publisher_disconnected` exactly once if it heard `publisher_connected`. The id authorises the
session's resource, so it is unguessable; the ETag names the present ICE session (RFC 9725 4.3.1).

Upstream: `hotpath.ingest.whip_service`, and `webrtc.peer` as its handler. Downstream:
`hotpath.ingest.whip_publisher`.
"""

import logging
import secrets
import time
from typing import Protocol

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.statistics import Publisher, WhipStatistics
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_publisher import WhipPublisher
from hotpath.webrtc.candidate import parse as parse_candidate
from hotpath.webrtc.errors import CandidateError
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.sdp import Fragment, Offer, PublisherMedia, publisher_answer
from hotpath.webrtc.srtp import SrtpKeys
from infra.publishers import Place, Role

log = logging.getLogger(__name__)

_WORDS = {"consent-expired": "connection-lost", "dtls-closed": "unpublished"}
"""The transport's reasons in ingest's words; others stand as they are."""


class SessionOwner(Protocol):
    """What a session tells its service."""

    def session_connected(self, session: "WhipSession", peer_name: str) -> None: ...

    def session_due(self, deadline: int | None) -> None: ...

    def session_closed(self, session: "WhipSession") -> None: ...


class WhipSession:
    def __init__(
        self,
        id: str,
        entry: AdmissionEntry,
        role: Role,
        media: PublisherMedia,
        peer_name: str,
        *,
        service: SessionOwner,
        limits: WhipLimits,
    ) -> None:
        """`peer_name`: `address:port` of the HTTP request."""
        self.id = id
        self.entry = entry
        self.role = role
        self.peer_name = peer_name
        self.etag = _new_etag()
        self.answer = ""
        self.closed = False
        self._media = media
        self._service = service
        self._limits = limits
        self._peer: Peer | None = None
        self._remote = ("", "")
        self._publisher: WhipPublisher | None = None
        self._sink: PublisherSink | None = None

    @property
    def place(self) -> Place:
        return self.entry.event, self.role

    @property
    def publisher_id(self) -> int | None:
        return self._publisher.publisher.id if self._publisher is not None else None

    # -- for the service ---------------------------------------------------------------------

    def open(self, mux: Mux, offer: Offer) -> None:
        """Take a peer of the mux and answer the offer. Raises `Overloaded`."""
        peer = self._peer = mux.open(self, role_hint="publisher")
        self._remote = (offer.ufrag, offer.pwd)
        setup = offer.answer_setup
        peer.accept(
            offer.ufrag, offer.pwd, offer.fingerprint, "client" if setup == "active" else "server"
        )
        self.answer = publisher_answer(
            offer,
            self._media,
            ufrag=peer.ufrag,
            pwd=peer.pwd,
            fingerprint=mux.fingerprint,
            candidates=mux.candidates,
            setup="active" if setup == "active" else "passive",
        )

    def begin(self, publisher: Publisher, sink: PublisherSink, now: int) -> None:
        """Its transport stands and the event is free: from here on it publishes."""
        peer = self._peer
        if peer is None or self.closed:
            return
        self._sink = sink
        self._publisher = WhipPublisher(
            publisher,
            self._media,
            sink,
            send=peer.send_rtcp,
            ssrc=secrets.randbits(32),
            limits=self._limits,
            keyframe_interval_s=min(
                self._limits.keyframe_interval_s, float(self.entry.target_duration_s)
            ),
            now=now,
        )
        sink.publisher_connected(publisher)

    def poll(self, now: int) -> None:
        if self._publisher is not None:
            self._publisher.poll(now)

    def next_deadline(self) -> int | None:
        return self._publisher.next_deadline() if self._publisher is not None else None

    def check(self, now: int) -> None:
        """Once a second: health, and whether it stays within its limits."""
        if self._publisher is None or self._peer is None:
            return
        reason = self._publisher.check(now, self._peer.round_trip_ns)
        if reason is not None:
            self.close(reason)

    def request_keyframe(self) -> None:
        if self._publisher is not None:
            self._publisher.request_keyframe(time.monotonic_ns())

    def statistics(self) -> WhipStatistics | None:
        return self._publisher.statistics() if self._publisher is not None else None

    def is_silent(self, now: int) -> bool:
        """It has sent nothing for so long that another may publish in its place."""
        if self._publisher is None:
            return False
        return now - self._publisher.last_packet_ns >= int(self._limits.idle_timeout_s * 1e9)

    def close(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._service.session_closed(self)
        if self._publisher is not None and self._sink is not None:
            try:
                self._publisher.close()
            except Exception:  # what broke the stream may break its end: nobody else pays for it
                log.exception("the end of a WHIP publisher of %s failed", self.entry.event)
            self._sink.publisher_disconnected(self._publisher.publisher.id, reason)
        if self._peer is not None:
            self._peer.close("closed")

    # -- for the endpoint --------------------------------------------------------------------

    def is_current(self, fragment: Fragment) -> bool:
        """The fragment is of the present ICE session; otherwise it restarts ICE."""
        return (fragment.ufrag, fragment.pwd) == self._remote

    def trickle(self, fragment: Fragment) -> None:
        """The publisher's further candidates; unreadable ones are skipped (RFC 8838 11)."""
        for line in fragment.candidates:
            try:
                candidate = parse_candidate(line)
            except CandidateError as error:
                log.debug("a trickled candidate was skipped: %s", error)
                continue
            if self._peer is not None:
                self._peer.add_remote_candidate(candidate)

    def restart(self, ufrag: str, pwd: str) -> tuple[str, str]:
        """This end's new credentials. Media goes on the old way until the new one is checked."""
        if self._peer is None:
            raise RuntimeError("the session is not open")
        self._remote = (ufrag, pwd)
        self.etag = _new_etag()
        return self._peer.restart(ufrag, pwd)

    # -- for the transport -------------------------------------------------------------------

    def peer_connected(self, keys: SrtpKeys, path: Path) -> None:
        self._service.session_connected(self, _name(path))

    def peer_moved(self, path: Path) -> None:
        log.info("publisher %s goes on from another address", self.publisher_id)

    def peer_rtp(self, packet: bytes, received_ns: int) -> None:
        if self._publisher is not None and not self.closed:
            self._publisher.receive_rtp(packet, received_ns, time.monotonic_ns())
            self._service.session_due(self._publisher.next_deadline())

    def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
        if self._publisher is not None and not self.closed:
            self._publisher.receive_rtcp(packet, time.monotonic_ns())

    def peer_closed(self, reason: str) -> None:
        self.close(_WORDS.get(reason, reason))


def _new_etag() -> str:
    return f'"{secrets.token_urlsafe(9)}"'


def _name(path: Path) -> str:
    if path.address is None:
        return ""
    host, port = path.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
