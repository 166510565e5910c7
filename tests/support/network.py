"""A network that misbehaves on purpose, the same way every time: a seeded UDP relay.

`Impairment` is a pure core: datagrams and the time go in, datagrams come out when they are due.
`UdpRelay` puts one in each direction between clients and a server:

    with UdpRelay(("127.0.0.1", server_port), Conditions(loss=0.05, jitter_ms=50), seed=1) as relay:
        sdp = through(relay, sdp)           # the client now sends to the relay
        ...
        relay.change(Conditions(loss=0.3))  # takes effect at once
"""

import heapq
import random
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

MILLISECOND = 1_000_000
_DATAGRAM = 65_536
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction does to its datagrams; the default is a perfect wire."""

    loss: float = 0.0
    """Share of datagrams lost, over a long time."""
    burst: float = 1.0
    """Mean length of a run of losses (Gilbert's model); 1: every loss is on its own."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Uniform extra delay; datagrams keep their order, as in a queue."""
    reorder: float = 0.0
    """Share of datagrams held back for `reorder_ms`, so that later ones overtake them."""
    reorder_ms: float = 10.0
    duplicate: float = 0.0
    rate_kbps: float = 0.0
    """Bottleneck; 0: none."""
    queue_bytes: int = 64 * 1024
    """What waits before the bottleneck; more is dropped at the tail."""


CLEAN = Conditions()


@dataclass(slots=True)
class Counts:
    received: int = 0
    delivered: int = 0
    lost: int = 0
    overflowed: int = 0
    duplicated: int = 0
    reordered: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        names = Counts.__slots__
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))


class Impairment:
    """One direction of one path.

    Invariant: what comes out, and when, depends on the seed, the conditions, and the sequence of
    (datagram, now) alone. Times are integer nanoseconds of any monotonic clock.
    """

    def __init__(self, conditions: Conditions = CLEAN, *, seed: str | int = 0) -> None:
        self._conditions = conditions
        self._random = random.Random(str(seed))
        self._losing = False
        self._last_due = 0
        self._link_free = 0
        self._number = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        self.counts = Counts()

    def change(self, conditions: Conditions) -> None:
        """From the next datagram on; what is under way stays under way."""
        self._conditions = conditions

    def receive_datagram(self, data: bytes, now: int) -> None:
        given = self._conditions
        self.counts.received += 1
        # Every datagram draws the same numbers, so that changing one condition leaves the
        # fate that others decide as it was.
        draws = [self._random.random() for _ in range(5)]
        if self._lost(given, draws[0]):
            self.counts.lost += 1
            return
        sent = self._through_bottleneck(len(data), now)
        if sent is None:
            self.counts.overflowed += 1
            return
        due = sent + round((given.delay_ms + draws[1] * given.jitter_ms) * MILLISECOND)
        if draws[2] < given.reorder:
            self.counts.reordered += 1
            self._wait(due + round(given.reorder_ms * MILLISECOND), data)
        else:
            self._last_due = due = max(due, self._last_due)
            self._wait(due, data)
        if draws[3] < given.duplicate:
            self.counts.duplicated += 1
            self._wait(due + round(draws[4] * MILLISECOND), data)

    def next_deadline(self) -> int | None:
        return self._waiting[0][0] if self._waiting else None

    def poll(self, now: int) -> list[bytes]:
        """The datagrams that are due, in the order in which they arrive."""
        due: list[bytes] = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(heapq.heappop(self._waiting)[2])
        self.counts.delivered += len(due)
        return due

    def _lost(self, given: Conditions, draw: float) -> bool:
        """Gilbert's two states: leave `losing` with 1/burst, enter it so that the share fits."""
        if given.loss <= 0:
            self._losing = False
        elif given.loss >= 1:
            self._losing = True
        elif given.burst <= 1:
            self._losing = draw < given.loss
        elif self._losing:
            self._losing = draw >= 1 / given.burst
        else:
            self._losing = draw < given.loss / (given.burst * (1 - given.loss))
        return self._losing

    def _through_bottleneck(self, size: int, now: int) -> int | None:
        """When the last bit leaves the bottleneck; None: its queue was full."""
        rate = self._conditions.rate_kbps
        if rate <= 0:
            return now
        started = max(now, self._link_free)
        waiting_bytes = (started - now) * rate / 8e6
        if waiting_bytes + size > self._conditions.queue_bytes:
            return None
        self._link_free = started + round(size * 8e6 / rate)
        return self._link_free

    def _wait(self, due: int, data: bytes) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (due, self._number, data))


@dataclass(slots=True)
class _Client:
    address: tuple[str, int]
    upstream: socket.socket
    up: Impairment
    down: Impairment


class UdpRelay:
    """Stands between clients and one server; every client has an upstream socket of its own, so the
    server sees as many addresses as there are clients. A thread of its own does the work."""

    def __init__(
        self,
        server: tuple[str, int],
        conditions: Conditions = CLEAN,
        *,
        up: Conditions | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        """`up` (client → server) is as `conditions` (server → client) unless it is given."""
        self._server = server
        self._down, self._up = conditions, conditions if up is None else up
        self._seed = seed
        self._clients: dict[tuple[str, int], _Client] = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._socket = _udp_socket(host)
        self.host, self.port = self._socket.getsockname()[:2]
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="udp-relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        self._waker.send(b"x")
        self._thread.join()
        for client in self._clients.values():
            client.upstream.close()
        for one in (self._socket, self._waker, self._woken):
            one.close()
        self._selector.close()

    def change(self, conditions: Conditions, *, up: Conditions | None = None) -> None:
        """New conditions for every path, present and future."""
        with self._lock:
            self._down, self._up = conditions, conditions if up is None else up
            for client in self._clients.values():
                client.down.change(self._down)
                client.up.change(self._up)

    def rebind(self) -> None:
        """Every client gets a new upstream address, as when a phone changes its network."""
        with self._lock:
            for client in self._clients.values():
                self._selector.unregister(client.upstream)
                client.upstream.close()
                client.upstream = self._upstream()
                self._selector.register(client.upstream, selectors.EVENT_READ, client)

    @property
    def clients(self) -> int:
        with self._lock:
            return len(self._clients)

    def counts(self) -> tuple[Counts, Counts]:
        """(client → server, server → client), all clients together."""
        up, down = Counts(), Counts()
        with self._lock:
            for client in self._clients.values():
                up, down = up + client.up.counts, down + client.down.counts
        return up, down

    def _upstream(self) -> socket.socket:
        upstream = _udp_socket(self.host)
        upstream.connect(self._server)
        return upstream

    def _client(self, address: tuple[str, int]) -> _Client:
        client = self._clients.get(address)
        if client is None:
            name = f"{self._seed}/{len(self._clients)}"
            client = _Client(
                address,
                self._upstream(),
                Impairment(self._up, seed=f"{name}/up"),
                Impairment(self._down, seed=f"{name}/down"),
            )
            self._selector.register(client.upstream, selectors.EVENT_READ, client)
            self._clients[address] = client
        return client

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._timeout()):
                if key.fileobj is self._woken:
                    self._woken.recv(64)
                    continue
                with self._lock:
                    self._receive(key.data)
            with self._lock:
                self._deliver()

    def _timeout(self) -> float | None:
        with self._lock:
            waiting = [
                deadline
                for client in self._clients.values()
                for way in (client.up, client.down)
                if (deadline := way.next_deadline()) is not None
            ]
        return max(0, min(waiting) - time.monotonic_ns()) / 1e9 if waiting else None

    def _receive(self, client: _Client | None) -> None:
        if client is None:
            for data, address in _arrived(self._socket):
                self._client(address).up.receive_datagram(data, time.monotonic_ns())
        elif client.upstream.fileno() >= 0:  # else `rebind` closed it since the selector spoke
            for data, _ in _arrived(client.upstream):
                client.down.receive_datagram(data, time.monotonic_ns())

    def _deliver(self) -> None:
        now = time.monotonic_ns()
        for client in self._clients.values():
            # A socket's error is that of an earlier datagram whose receiver is gone: lost, as on
            # any network.
            for data in client.up.poll(now):
                with suppress(OSError):
                    client.upstream.send(data)
            for data in client.down.poll(now):
                with suppress(OSError):
                    self._socket.sendto(data, client.address)


def _udp_socket(host: str) -> socket.socket:
    one = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    )
    # The relay itself must not lose anything; the kernel grants what it allows.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    one.bind((host, 0))
    return one


def _arrived(one: socket.socket) -> Iterator[tuple[bytes, tuple[str, int]]]:
    for _ in range(_BATCH):
        try:
            data, address = one.recvfrom(_DATAGRAM)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            continue
        yield data, (str(address[0]), int(address[1]))


def through(relay: UdpRelay, sdp: str) -> str:
    """The answer with the relay as its only candidate."""
    end = "\r\n" if "\r\n" in sdp else "\n"
    candidate = f"a=candidate:1 1 udp 2130706431 {relay.host} {relay.port} typ host"
    lines: list[str] = []
    for line in sdp.split(end):
        if re.match(r"a=candidate:", line):
            if not lines or lines[-1] != candidate:
                lines.append(candidate)
        else:
            lines.append(line)
    return end.join(lines)


def steady(datagrams: Sequence[bytes], every_ms: float, way: Impairment) -> list[tuple[int, bytes]]:
    """What comes out, and when, of datagrams sent in at a steady pace: for tests of the model."""
    out: list[tuple[int, bytes]] = []
    times = [round(n * every_ms * MILLISECOND) for n in range(len(datagrams))]
    for now, data in zip(times, datagrams, strict=True):
        out += _until(way, now)
        way.receive_datagram(data, now)
    return [*out, *_until(way, 1 << 62)]


def _until(way: Impairment, end: int) -> Iterator[tuple[int, bytes]]:
    while (deadline := way.next_deadline()) is not None and deadline <= end:
        for data in way.poll(deadline):
            yield deadline, data
