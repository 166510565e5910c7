"""ICE-TCP, passive: peers whose network lets no UDP through connect to the same port number.

Invariant: a connection that has not sent an authentic check costs one bounded buffer and a few
seconds; what one peer does not read stays with that peer: its pair fills up and the sender sees
EAGAIN. After `close` or `abort` no frame is looked at. Media reaches the stream through a pair of
sockets that keeps packets apart, so the fan-out kernel sends to it like to any datagram socket.

Upstream: `sockets`. Downstream: `tcp_links`. Spec: RFC 6544 (passive), RFC 4571 (framing).
"""

import asyncio
import socket
from typing import Protocol, cast

from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.stun import Address

MAX_FRAME = 2048
_HIGH_WATER = 64 * 1024
"""Bytes in the stream's own buffer before its pair is no longer emptied."""
_NOT_SENT = 32 * 1024
_TCP_NOTSENT_LOWAT = 25
_PAIR_BUFFER = 256 * 1024
_DRAIN = 64


class TcpShell(Protocol):
    """What a link needs of `tcp_links`."""

    def link_opened(self, link: "TcpLink") -> bool:
        """False: there are too many."""

    def link_frame(self, link: "TcpLink", frame: bytes) -> None: ...

    def link_closed(self, link: "TcpLink") -> None: ...

    def bury(self, route: "tuple[Peer, Path]", pair: socket.socket) -> None:
        """Close it when nobody can be told its number any more."""

    def count(self, what: str) -> None: ...


class TcpLink(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, shell: TcpShell, deadline_ns: int) -> None:
        """`deadline_ns`: when it must have proved itself, later: be in use."""
        self.deadline_ns = deadline_ns
        self.address: Address = ("", 0)
        self.route: tuple[Peer, Path] | None = None
        """Set by `adopt`."""
        self._shell = shell
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._reading = False
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if peer:
            self.address = (str(peer[0]), int(peer[1]))
        if not peer or not self._shell.link_opened(self):
            self._shell.count("tcp-refused")
            transport.abort()
            return
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        stream = transport.get_extra_info("socket")
        if stream is not None:
            stream.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOT_SENT)

    def data_received(self, data: bytes) -> None:
        """RFC 4571 2: every frame is preceded by its length in two bytes."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 2 and not self._over:
            size = (buffer[at] << 8) | buffer[at + 1]
            if size > MAX_FRAME:
                self._shell.count("tcp-frame-too-large")
                self.close()
                return
            if len(buffer) - at - 2 < size:
                break
            frame = bytes(buffer[at + 2 : at + 2 + size])
            at += 2 + size
            if frame or self.route is None:  # empty ones are legal, and nothing
                self._shell.link_frame(self, frame)
        del buffer[: len(buffer) if self._over else at]

    def adopt(self, peer: Peer) -> Path:
        """An authentic check of `peer` came: this connection is a path from now on."""
        if self.route is None:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in (near, far):
                end.setblocking(False)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PAIR_BUFFER)
            self._pair = near, far
            self.route = (peer, Path(near.fileno(), None, "tcp"))
            self.resume_writing()
        return self.route[1]

    def send(self, data: bytes) -> None:
        """STUN, DTLS and feedback; what does not fit is dropped like on UDP."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > _HIGH_WATER:
            self._shell.count("dropped-tcp-full")
            return
        transport.write(len(data).to_bytes(2, "big") + data)

    def close(self) -> None:
        """What was sent goes first, if the peer reads it."""
        self._over = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pause_writing()
        self._transport = None
        self._over = True
        self._buffer.clear()
        self._shell.link_closed(self)
        if self._pair is not None and self.route is not None:
            near, far = self._pair
            self._pair = None
            near.shutdown(socket.SHUT_RDWR)
            far.close()
            self._shell.bury(self.route, near)

    def pause_writing(self) -> None:
        """The peer does not read: leave the media in the pair, where the sender sees it."""
        if self._reading and self._pair is not None:
            asyncio.get_running_loop().remove_reader(self._pair[1].fileno())
            self._reading = False

    def resume_writing(self) -> None:
        if not self._reading and self._pair is not None:
            asyncio.get_running_loop().add_reader(self._pair[1].fileno(), self._copy)
            self._reading = True

    def _copy(self) -> None:
        """From the pair into the stream."""
        if self._pair is None or self._transport is None:
            return
        frames: list[bytes] = []
        receive = self._pair[1].recv
        for _ in range(_DRAIN):
            try:
                data = receive(MAX_FRAME)
            except (BlockingIOError, ConnectionError):
                break
            if not data:
                break
            frames += (len(data).to_bytes(2, "big"), data)
        if frames:
            self._transport.write(b"".join(frames))
