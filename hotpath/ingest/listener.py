"""The SRT listening socket: libsrt behind a small typed surface.

The only module that touches cffi. Calls release the GIL; all but `set_table` and `set_occupied`
belong to the ingest thread. Downstream: `hotpath.ingest.srt`. The decisions fall in
srt_admission.c.
"""

import socket as sockets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from hotpath.ingest._srt import ffi, lib
from hotpath.ingest.admission import REASONS, AdmissionEntry, Reason
from hotpath.ingest.errors import ListenError
from hotpath.ingest.statistics import SocketStatistics
from infra.publishers import ROLES, Role

_BUFFER = 1500 * 96
_EVENTS = 64
_VERDICTS = 64
_LOG_TEXT = 240
_started = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What srt_admission.c decided about one connect."""

    socket: int
    reason: Reason
    event: str
    role: Role
    peer: str
    at_ns: int
    version: int
    """Of the table that decided."""


def _start_library() -> None:
    global _started  # noqa: PLW0603 - libsrt itself is one per process
    if not _started:
        if lib.lp_startup() != 0:
            raise ListenError("libsrt could not be started")
        _started = True


def _text(field: object) -> str:
    return str(ffi.string(field).decode("ascii", "replace"))


class SrtListener:
    """One UDP port with many publishers."""

    def __init__(
        self,
        host: str,
        port: int,
        latency_ms: int,
        *,
        idle_timeout_ms: int,
        connect_burst: float,
        connects_per_s: float,
    ) -> None:
        _start_library()
        try:
            address = sockets.getaddrinfo(host, port, type=sockets.SOCK_DGRAM)[0][4][0]
        except OSError as error:
            raise ListenError(f"SRT host {host!r} cannot be resolved: {error}") from error
        self._context = lib.lp_listener_new(connect_burst, connects_per_s)
        if self._context == ffi.NULL:
            raise MemoryError
        bound = ffi.new("int *")
        self.socket = int(
            lib.lp_listen(
                self._context, str(address).encode(), port, latency_ms, idle_timeout_ms, bound
            )
        )
        if self.socket < 0:
            reason = ffi.string(lib.srt_getlasterror_str()).decode()
            lib.lp_listener_free(self._context)
            raise ListenError(
                f"SRT cannot listen on UDP {host}:{port}: {reason}; "
                "free the port or set LIVEPATH_SRT_PORT"
            )
        self.port = int(bound[0])
        self._epoll = lib.srt_epoll_create()
        self._interest = ffi.new("int *", lib.SRT_EPOLL_IN | lib.SRT_EPOLL_ERR)
        self._events = ffi.new("SRT_EPOLL_EVENT[]", _EVENTS)
        self._buffer = ffi.new("char[]", _BUFFER)
        self._messages = ffi.new("int *")
        self._verdicts = ffi.new("lp_verdict[]", _VERDICTS)
        self._counter = ffi.new("uint64_t *")
        self._log = ffi.new("char[]", _LOG_TEXT)
        self._statistics = ffi.new("lp_statistics *")
        self._closing = threading.Lock()
        self.verdicts_lost = 0
        self.watch(self.socket)

    def set_table(self, entries: Sequence[AdmissionEntry], version: int) -> None:
        """Replace the admission table in C, atomically. Any thread; nothing after `close`."""
        with self._closing:
            if self._context != ffi.NULL:
                self._copy_table(entries, version)

    def _copy_table(self, entries: Sequence[AdmissionEntry], version: int) -> None:
        table = ffi.new("lp_entry[]", len(entries))
        for row, entry in zip(table, entries, strict=True):
            row.event = entry.event.encode()
            row.key = entry.key.encode()
            row.passphrase = entry.passphrase.encode()
            row.open = entry.open
            row.takeover = entry.takeover
        if lib.lp_set_table(self._context, table, len(entries), version) != 0:
            raise MemoryError

    def set_active(self, event: str, role: Role, socket: int | None) -> None:
        """Tell C who publishes the event in this role, for its busy check."""
        number = -1 if socket is None else socket
        lib.lp_set_active(self._context, event.encode(), ROLES.index(role), number)

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None:
        """Tell C that somebody publishes the event by another protocol. Any thread, as a table."""
        with self._closing:
            if self._context != ffi.NULL:
                lib.lp_set_occupied(self._context, event.encode(), ROLES.index(role), occupied)

    def wait(self, timeout_ms: int) -> list[int]:
        """Sockets that have something to say."""
        count = lib.srt_epoll_uwait(self._epoll, self._events, _EVENTS, timeout_ms)
        return [self._events[i].fd for i in range(count)]

    def accept(self) -> int | None:
        socket = int(lib.lp_accept(self.socket))
        return socket if socket >= 0 else None

    def watch(self, socket: int) -> None:
        lib.srt_epoll_add_usock(self._epoll, socket, self._interest)

    def unwatch(self, socket: int) -> None:
        lib.srt_epoll_remove_usock(self._epoll, socket)

    def drop(self, socket: int) -> None:
        """Close a connection; the peer sees it end at once."""
        lib.srt_epoll_remove_usock(self._epoll, socket)
        lib.srt_close(socket)

    def unread(self, socket: int) -> int:
        """Received messages whose delivery time has not come."""
        return int(lib.lp_unread(socket))

    def drain(self, socket: int) -> bytes | None:
        """The received messages joined, empty when there are none, None when the peer is gone."""
        size = lib.lp_drain(socket, self._buffer, _BUFFER, self._messages)
        return None if size < 0 else bytes(ffi.buffer(self._buffer, size))

    def is_dead(self, socket: int) -> bool:
        return bool(lib.srt_getsockstate(socket) >= lib.SRTS_BROKEN)

    def verdicts(self) -> list[Verdict]:
        found: list[Verdict] = []
        while True:
            count = lib.lp_drain_verdicts(self._context, self._verdicts, _VERDICTS, self._counter)
            for i in range(count):
                v = self._verdicts[i]
                found.append(
                    Verdict(
                        v.socket,
                        REASONS[v.reason],
                        _text(v.event),
                        ROLES[v.role],
                        _text(v.peer),
                        v.at_ns,
                        v.version,
                    )
                )
            self.verdicts_lost = int(self._counter[0])
            if count < _VERDICTS:
                return found

    def statistics(self, socket: int) -> SocketStatistics | None:
        now = self._statistics
        if lib.lp_statistics_of(socket, now) != 0:
            return None
        return SocketStatistics(
            packets=now.packets,
            bytes=now.bytes,
            lost=now.lost,
            dropped=now.dropped,
            undecrypted=now.undecrypted,
            belated=now.belated,
            retransmitted=now.retransmitted,
            rtt_ms=now.rtt_ms,
            rate_mbps=now.rate_mbps,
            buffer_ms=now.buffer_ms,
            latency_ms=now.latency_ms,
        )

    def log_lines(self) -> list[str]:
        """What libsrt itself reported since the last call (all listeners of the process)."""
        lines = []
        while lib.lp_next_log(self._log, self._counter):
            lines.append(_text(self._log))
        return lines

    def close(self) -> None:
        """Stop listening. Publisher sockets are the caller's to drop first."""
        with self._closing:
            if self._context == ffi.NULL:
                return
            lib.srt_close(self.socket)
            lib.srt_epoll_release(self._epoll)
            lib.lp_listener_free(self._context)
            self._context = ffi.NULL
