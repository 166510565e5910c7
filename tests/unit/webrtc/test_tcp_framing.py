"""RFC 4571 frames from anyone, cut and merged in any way, and what they leave behind: nothing."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path as FilePath

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotpath.webrtc import stun
from hotpath.webrtc.dtls import Step
from hotpath.webrtc.handshake import Work
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.tcp import MAX_FRAME, TcpLink
from tests.support.silent import Silent

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
S = 1_000_000_000
THOROUGH = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)


class Wire(asyncio.Transport):
    """The server's end of a connection whose other end is the test."""

    def __init__(self, link: TcpLink, port: int = 1000) -> None:
        super().__init__({"peername": ("192.0.2.1", port)})
        self.closing = False
        self.written = bytearray()
        self._link = link
        link.connection_made(self)

    def feed(self, data: bytes) -> None:
        if not self.closing:
            self._link.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self._link.connection_lost, None)

    abort = close


class Heard:
    """A shell that keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.counted: list[str] = []
        self.closed = 0

    def link_opened(self, link: TcpLink) -> bool:
        return True

    def link_frame(self, link: TcpLink, frame: bytes) -> None:
        self.frames.append(frame)

    def link_closed(self, link: TcpLink) -> None:
        self.closed += 1

    def bury(self, route: tuple[Peer, Path], pair: socket.socket) -> None:
        pair.close()

    def count(self, what: str) -> None:
        self.counted.append(what)


class DryMux(Mux):
    """Never runs: it is handed connections, and steps handshakes at once."""

    def __init__(self) -> None:
        self.time = S
        super().__init__(["127.0.0.1"], 0, tcp=False, now=lambda: self.time)

    def submit(self, work: Work, done: Callable[[Step], None]) -> bool:
        done(work.run())
        return True

    def connect(self, port: int) -> Wire:
        return Wire(self._tcp._accept(), port)

    def holds_connections(self) -> bool:
        tcp = self._tcp
        return any((tcp._strangers, tcp._strangers_of, tcp._by_fd, tcp._of, tcp._graves))


def sockets() -> int:
    return sum(
        one.readlink().name.startswith("socket:")
        for one in FilePath("/proc/self/fd").iterdir()
        if one.is_symlink()
    )


def framed(frames: Sequence[bytes]) -> bytes:
    return b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


def check(peer: Peer, number: int, *, nominate: bool) -> bytes:
    return stun.request(
        number.to_bytes(12, "big"),
        f"{peer.ufrag}:theirs",
        peer.pwd.encode(),
        priority=1,
        tie_breaker=1,
        controlling=True,
        use_candidate=nominate,
    )


_CUTS = st.lists(st.integers(0, 1 << 16), max_size=12)
_FRAMES = st.lists(
    st.one_of(st.binary(max_size=40), st.integers(0, MAX_FRAME).map(bytes)), max_size=12
)
# By the first byte (RFC 7983): STUN, garbage, DTLS, media; empty ones too.
_ANY = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(
        [b"", b"\0", b"\0\1\0\0\x21\x12\xa4\x42", b"\x0a", b"\x16\xfe\xfd", b"\x80\xc9"]
    ),
    st.binary(max_size=60),
)


@THOROUGH
@given(_FRAMES, _CUTS)
def test_rfc4571_2_frames_are_heard_as_they_were_sent_however_they_arrive(
    frames: list[bytes], places: list[int]
) -> None:
    async def run() -> None:
        shell = Heard()
        link = TcpLink(shell, 0)
        wire = Wire(link)
        for chunk in cut(framed(frames) + b"\7", places):
            wire.feed(chunk)
        assert shell.frames == frames
        assert bytes(link._buffer) == b"\7"
        wire.close()
        await asyncio.sleep(0)
        assert (shell.closed, shell.counted, len(link._buffer)) == (1, [], 0)

    asyncio.run(run())


@THOROUGH
@given(_FRAMES, st.integers(MAX_FRAME + 1, 0xFFFF), st.binary(max_size=60), _CUTS)
def test_behind_a_frame_that_is_too_large_nothing_is_heard(
    frames: list[bytes], size: int, rest: bytes, places: list[int]
) -> None:
    async def run() -> None:
        shell = Heard()
        wire = Wire(TcpLink(shell, 0))
        for chunk in cut(framed(frames) + size.to_bytes(2, "big") + rest, places):
            wire.feed(chunk)
        await asyncio.sleep(0)
        assert (shell.frames, shell.counted) == (frames, ["tcp-frame-too-large"])
        assert shell.closed == 1

    asyncio.run(run())


@THOROUGH
@given(st.one_of(st.binary(max_size=200), st.lists(_ANY, max_size=6).map(framed)), _CUTS)
def test_a_stranger_gets_no_reply_and_leaves_nothing(data: bytes, places: list[int]) -> None:
    async def run() -> None:
        mux = DryMux()
        try:
            peer = mux.open(Silent(), role_hint="publisher")
            peer.accept("theirs", "p" * 24, FINGERPRINT, "server")
            before = sockets()
            wire = mux.connect(1000)
            for chunk in cut(data, places):
                wire.feed(chunk)
            assert (bytes(wire.written), peer.routes, peer.path) == (b"", set(), None)
            mux.time += 11 * S
            mux._tcp.sweep(mux.time)
            await asyncio.sleep(0)
            assert wire.closing
            assert not mux.holds_connections()
            assert sockets() == before
        finally:
            mux.close()

    asyncio.run(run())


async def test_what_stands_behind_a_frame_that_ends_a_connection_is_not_looked_at() -> None:
    mux = DryMux()
    try:
        peer = mux.open(Silent(), role_hint="publisher")
        wire = mux.connect(1000)
        wire.feed(framed([b"GET / HTTP", check(peer, 1, nominate=True)]))
        assert (bytes(wire.written), peer.routes, peer.path) == (b"", set(), None)
        await asyncio.sleep(0)
        assert not mux.holds_connections()
    finally:
        mux.close()


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.lists(st.one_of(st.booleans(), _ANY), max_size=5),
        _CUTS,
    ),
    max_size=12,
)
"""Which connection; what comes on it: a check that nominates, one that does not, or anything."""


@THOROUGH
@given(_STEPS)
def test_a_peer_that_misbehaves_on_its_connections_leaves_nothing(
    steps: list[tuple[int, list[bool | bytes], list[int]]],
) -> None:
    async def run() -> None:
        mux = DryMux()
        try:
            peer = mux.open(Silent(), role_hint="publisher")
            peer.accept("theirs", "p" * 24, FINGERPRINT, "server")
            before = sockets()
            wires: dict[int, Wire] = {}
            number = 0
            for which, contents, places in steps:
                if which not in wires or wires[which].closing:
                    wires[which] = mux.connect(which)
                frames = []
                for content in contents:
                    number += 1
                    is_check = isinstance(content, bool)
                    frames.append(check(peer, number, nominate=content) if is_check else content)
                for chunk in cut(framed(frames), places):
                    wires[which].feed(chunk)
                await asyncio.sleep(0)
                assert sum(path.address is None for path in peer.routes) <= 4
                # A pair for each connection, and one end of a connection that was the path.
                assert sockets() <= before + 2 * 4 + 1
            peer.close()
            await asyncio.sleep(0)
            mux.time += 11 * S
            mux._tcp.sweep(mux.time)
            await asyncio.sleep(0)
            assert not mux.holds_connections()
            assert (peer.routes, sockets()) == (set(), before)
        finally:
            mux.close()

    asyncio.run(run())
