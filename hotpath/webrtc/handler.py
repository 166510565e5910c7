"""What a peer tells (`PeerHandler`) and what it needs (`PeerShell`).

Upstream: `peer`. Downstream: viewers of `hotpath.fanout`, publishers of `hotpath.ingest`; `mux`.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from OpenSSL import SSL

from hotpath.webrtc.dtls import Step
from hotpath.webrtc.handshake import Work
from hotpath.webrtc.ice_events import Credentials
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys
from hotpath.webrtc.stun import Address

if TYPE_CHECKING:
    from hotpath.webrtc.peer import Peer

RoleHint: TypeAlias = Literal["viewer", "publisher"]
CLOSE_REASONS = (
    "consent-expired",
    "dtls-closed",
    "handshake-failed",
    "handshake-timeout",
    "handler-failed",
    "closed",
)


class PeerHandler(Protocol):
    """What becomes of one peer."""

    def peer_connected(self, keys: SrtpKeys, path: Path) -> "RtcpOpener | None":
        """Who opens the peer's SRTCP from now on; None: the peer does by itself."""

    def peer_moved(self, path: Path) -> None:
        """Send there from now on. The old path's descriptor may be closed once this returns, so who
        sends from another thread has a duplicate."""

    def peer_rtp(self, packet: bytes, received_ns: int) -> None:
        """A decrypted RTP packet of a publisher; `received_ns`: Unix ns."""

    def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
        """A decrypted compound RTCP packet."""

    def peer_closed(self, reason: str) -> None:
        """One of `CLOSE_REASONS`, or what `Peer.close` was given. Send nothing any more."""


class RtcpOpener(Protocol):
    """Opens one peer's SRTCP, and may take some of it before the mux sees it."""

    def rtcp(self, packet: bytes) -> bytes:
        """The plaintext; raises `Rejected`."""

    @property
    def heard_ns(self) -> int:
        """When it last took something by the peer's present path, on the mux's clock; 0: never."""


class Intake(Protocol):
    """Receives from the mux's sockets and takes what it can read by itself."""

    def receive(self, fd: int, now: int) -> tuple[int, list[tuple[bytes, Address]]]:
        """How many datagrams it took, and those that it did not, in order; never waits.

        Raises `BlockingIOError` when nothing waits, another `OSError` when the socket has one."""


class PeerShell(Protocol):
    """What a peer needs of the mux."""

    counters: Counter[str]
    context: SSL.Context

    def now(self) -> int: ...

    def send(self, path: Path, data: bytes) -> None: ...

    def submit(self, work: Work, done: Callable[[Step], None]) -> bool: ...

    def new_credentials(self, peer: "Peer") -> Credentials: ...

    def retire(self, ufrag: str) -> None: ...

    def forget(self, peer: "Peer") -> None: ...

    def watch(self, peer: "Peer") -> None:
        """Poll this peer often until it is no longer `busy`."""
