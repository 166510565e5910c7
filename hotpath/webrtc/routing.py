"""Which peer a datagram belongs to: by the ufrag of a check, else by where it came from.

Invariant: an address leads to one peer, only after an authentic check from there, and is not taken
from a peer that is alive behind it; a forgotten peer leaves nothing behind.

Upstream: `mux`. Spec: RFC 8445 7.3.
"""

from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.stun import Address


class RoutingTable:
    def __init__(self) -> None:
        self.by_ufrag: dict[str, Peer] = {}
        self.by_address: dict[int, dict[Address, tuple[Peer, Path]]] = {}
        """By the descriptor of the socket, then by source."""

    def name(self, ufrag: str, peer: Peer) -> None:
        self.by_ufrag[ufrag] = peer
        peer.ufrags.append(ufrag)

    def unname(self, ufrag: str) -> None:
        peer = self.by_ufrag.pop(ufrag, None)
        if peer is not None:
            peer.ufrags.remove(ufrag)

    def lead(self, path: Path, peer: Peer, now: int) -> bool:
        """`path` leads to `peer` from now on; False: another peer is alive behind it."""
        if path.address is None or path not in peer.sources:
            return True
        routes = self.by_address[path.fd]
        other = routes.get(path.address)
        if other is not None:
            if other[0].holds(other[1], now):
                return False
            other[0].routes.discard(other[1])
        routes[path.address] = (peer, path)
        peer.routes.add(path)
        return True

    def settle(self, peer: Peer) -> set[Path]:
        """Ways to `peer` that its agent no longer knows lead nowhere from now on; they are told."""
        stale = peer.routes.difference(peer.sources)
        for path in stale:
            self.unlead(path, peer)
        return stale

    def unlead(self, path: Path, peer: Peer) -> None:
        peer.routes.discard(path)
        if path.address is not None:
            self.by_address[path.fd].pop(path.address, None)

    def forget(self, peer: Peer) -> None:
        for ufrag in list(peer.ufrags):
            self.unname(ufrag)
        for path in list(peer.routes):
            self.unlead(path, peer)
