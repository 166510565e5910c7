"""`receive.c`, compiled on first use into the benchmarks' cache, behind a typed surface.

Invariant: `Receiver` sees every datagram of its sockets once: media as counts, the rest (and a
probe's media) as `Datagram`.
"""

import hashlib
import importlib.util
import select
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from cffi import FFI

SOURCE = Path(__file__).with_name("receive.c")
CACHE = Path(tempfile.gettempdir()) / "livepath-benchmarks"
SO_TIMESTAMPNS = 35
_ROOM = 512
DESCRIPTORS = 65_536
_DECLARATIONS = """
typedef struct {
    uint32_t ssrc, first, highest, timestamp; int payload_type; int64_t packets, bytes;
} lp_stream;
typedef struct {
    int fd, keep_media, streams; int64_t first_ns, refused; lp_stream stream[6];
} lp_viewer;
typedef struct {
    int viewer, length, port; uint32_t host; int64_t at_ns; uint8_t data[2048];
} lp_datagram;
int lp_receive(int epoll, const int *viewer_of, lp_viewer *viewers, lp_datagram *out, int room,
               int timeout_ms);
"""


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """One SSRC of one viewer; sequence numbers are extended."""

    ssrc: int
    payload_type: int
    first: int
    highest: int
    timestamp: int
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Datagram:
    viewer: int
    address: tuple[str, int]
    at_ns: int
    """Unix time; the kernel's for probes."""
    data: bytes


def _compiled() -> ModuleType:
    source = SOURCE.read_text()
    name = "_receive_" + hashlib.sha256((source + sys.version).encode()).hexdigest()[:12]
    found = list(CACHE.glob(f"{name}.*.so"))
    if not found:
        CACHE.mkdir(parents=True, exist_ok=True)
        builder = FFI()
        builder.cdef(_DECLARATIONS)
        builder.set_source(name, source, extra_compile_args=["-O2"])
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            built = Path(builder.compile(tmpdir=folder))
            found = [built.replace(CACHE / built.name)]
    spec = importlib.util.spec_from_file_location(name, found[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Receiver:
    """The receive loop of up to `capacity` viewers, each with a socket of its own."""

    def __init__(self, capacity: int) -> None:
        module = _compiled()
        self._ffi, self._lib = module.ffi, module.lib
        self._viewers = self._ffi.new("lp_viewer[]", capacity)
        self._out = self._ffi.new("lp_datagram[]", _ROOM)
        self._epoll = select.epoll()
        self._viewer_of = self._ffi.new("int[]", DESCRIPTORS)
        self._count = 0

    def add(self, one: socket.socket, *, keep_media: bool) -> int:
        """The viewer's index."""
        index, descriptor = self._count, one.fileno()
        self._viewers[index].fd = descriptor
        self._viewer_of[descriptor] = index
        self._viewers[index].keep_media = keep_media
        if keep_media:
            one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._epoll.register(descriptor, select.EPOLLIN)
        self._count += 1
        return index

    def remove(self, one: socket.socket) -> None:
        self._epoll.unregister(one.fileno())

    def receive(self, timeout_ms: int) -> list[Datagram]:
        count = self._lib.lp_receive(
            self._epoll.fileno(), self._viewer_of, self._viewers, self._out, _ROOM, timeout_ms
        )
        return [self._datagram(self._out[n]) for n in range(count)]

    def counts(self, index: int) -> list[StreamCounts]:
        viewer = self._viewers[index]
        return [
            StreamCounts(
                s.ssrc, s.payload_type, s.first, s.highest, s.timestamp, s.packets, s.bytes
            )
            for s in (viewer.stream[n] for n in range(viewer.streams))
        ]

    def first_ns(self, index: int) -> int:
        """When the first media came, Unix time; 0: never."""
        return int(self._viewers[index].first_ns)

    def close(self) -> None:
        self._epoll.close()

    def _datagram(self, one: Any) -> Datagram:
        address = (socket.inet_ntoa(one.host.to_bytes(4, "big")), int(one.port))
        data = bytes(self._ffi.buffer(one.data, one.length))
        return Datagram(int(one.viewer), address, int(one.at_ns), data)
