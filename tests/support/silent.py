"""The handler of a peer that must never get as far as a handshake."""

from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys


class Silent:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def peer_connected(self, keys: SrtpKeys, path: Path) -> None:
        raise AssertionError("nobody finished a handshake")

    def peer_moved(self, path: Path) -> None:
        raise AssertionError("nobody moved")

    def peer_rtp(self, packet: bytes, received_ns: int) -> None:
        raise AssertionError("no authentic media came")

    def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
        raise AssertionError("no authentic media came")

    def peer_closed(self, reason: str) -> None:
        self.reasons.append(reason)
