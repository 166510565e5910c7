"""SRT ingest: one UDP port, many publishers, one thread.

Invariant: at most one publisher per event and role; its sink calls come on the event loop, in
order. Who may connect is decided in srt_admission.c; whom the table no longer admits is
disconnected.

The thread waits on libsrt's epoll (whose id is no OS descriptor, so asyncio cannot), drains many
messages per call, demultiplexes there, and hands batches to the loop. Upstream: encoders.
Downstream: the node's `PublisherSink`.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from hotpath.ingest.admission import AdmissionEntry, Reason, Refusal, still_admitted
from hotpath.ingest.connection import Connection
from hotpath.ingest.handover import Handover
from hotpath.ingest.listener import SrtListener, Verdict
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.statistics import Publisher, SocketStatistics, SrtStatistics
from infra.publishers import Place, Role

log = logging.getLogger(__name__)

_WAIT_MS = 25
"""Longest time a command, verdict or stop waits for the thread when no media flows."""
_TAIL_WAIT_MS = 5
_TAIL_MARGIN_NS = 300_000_000
_TABLES_KEPT = 8
_FINISH_NS = 3_000_000_000
_SWEEP_NS = 1_000_000_000
_UNCLAIMED_NS = 100_000_000


class SrtIngest:
    """Listens from construction on; serves while `run()` runs. Public methods: loop thread."""

    def __init__(
        self,
        host: str,
        port: int,
        latency_ms: int,
        sink: PublisherSink,
        *,
        ids: Iterator[int] | None = None,
        idle_timeout_ms: int = 3000,
        stall_after_s: float = 5.0,
        connect_burst: float = 60.0,
        connects_per_s: float = 10.0,
    ) -> None:
        """`ids`: of publishers; shared with the ingests of other protocols."""
        self._listener = SrtListener(
            host,
            port,
            latency_ms,
            idle_timeout_ms=idle_timeout_ms,
            connect_burst=connect_burst,
            connects_per_s=connects_per_s,
        )
        self.port = self._listener.port
        self.refusals: Counter[str] = Counter()
        """Refused connects by reason, since the start."""
        self._sink = sink
        self._stall_after_ns = int(stall_after_s * 1e9)
        # Replaced as a whole, never changed: two threads read it.
        self._tables: tuple[tuple[int, dict[str, AdmissionEntry]], ...] = ()
        self._versions = itertools.count(1)
        self._ids = itertools.count(1) if ids is None else ids
        self._commands: deque[Callable[[], None]] = deque()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._handover = Handover()
        # Of the thread alone:
        self._live: dict[int, Connection] = {}
        self._by_place: dict[Place, Connection] = {}
        self._leaving: dict[int, int] = {}
        self._passed: dict[int, Verdict] = {}
        self._snapshot: list[SrtStatistics] = []
        self._verdicts_lost = 0
        self.set_table(())

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        """Replace the whole admission table; publishers it does not admit are disconnected."""
        table = {entry.event: entry for entry in entries}
        version = next(self._versions)
        self._tables = (*self._tables[1 - _TABLES_KEPT :], (version, table))
        self._listener.set_table(tuple(table.values()), version)
        self._commands.append(self._recheck)

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None:
        """Somebody has the place by another protocol: it is busy unless the event allows takeover.

        Lost when a table leaves the event out; whoever is not admitted does not publish either.
        """
        self._listener.set_occupied(event, role, occupied)

    def disconnect(self, publisher_id: int, reason: str) -> None:
        """Close a publisher's connection; unknown ids are ignored."""
        self._commands.append(lambda: self._disconnect_id(publisher_id, reason))

    def statistics(self) -> list[SrtStatistics]:
        """Every connected publisher, about a second old."""
        return self._snapshot

    async def run(self) -> None:
        """Serve until cancelled. Every publisher is then disconnected as `node-stopping`."""
        loop = asyncio.get_running_loop()
        self._handover.attach(loop)
        ended = asyncio.Event()
        thread = threading.Thread(
            target=self._thread, args=(loop, ended), name="srt-ingest", daemon=True
        )
        thread.start()
        try:
            await ended.wait()
        finally:
            self._stop.set()
            await ended.wait()
            self._handover.deliver()
        if self._failure is not None:
            raise self._failure

    # ---- the thread ----

    def _thread(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - carried to run(), which raises it
            self._failure = error
        finally:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    def _serve(self) -> None:
        next_sweep = 0
        try:
            while not self._stop.is_set():
                wait_ms = _TAIL_WAIT_MS if self._leaving else _WAIT_MS
                for socket in self._listener.wait(wait_ms):
                    if socket == self._listener.socket:
                        self._accept()
                    else:
                        self._read(socket)
                if self._leaving:
                    self._read_tails()
                while self._commands:
                    self._commands.popleft()()
                self._take_verdicts()
                now = time.monotonic_ns()
                if now >= next_sweep:
                    next_sweep = now + _SWEEP_NS
                    self._sweep()
                self._handover.wake()
        finally:
            for connection in list(self._live.values()):
                self._disconnect(connection, "node-stopping")
            self._listener.close()

    def _take_verdicts(self) -> None:
        """Refusals go out; who passed is remembered until accepted."""
        for verdict in self._listener.verdicts():
            if verdict.reason is Reason.ADMITTED:
                self._passed[verdict.socket] = verdict
                continue
            unexplained = verdict.reason is not Reason.BAD_PASSPHRASE
            if self._passed.pop(verdict.socket, None) or unexplained:
                self._refuse(verdict, verdict.reason)
        # Whoever passed the key check and closed before being accepted failed the passphrase;
        # libsrt's log says so first, unless its wording has changed.
        for socket, verdict in list(self._passed.items()):
            overdue = time.time_ns() - verdict.at_ns > _UNCLAIMED_NS
            if overdue and self._listener.is_dead(socket):
                del self._passed[socket]
                self._refuse(verdict, Reason.BAD_PASSPHRASE)

    def _refuse(self, verdict: Verdict, reason: Reason) -> None:
        entry = self._tables[-1][1].get(verdict.event)
        refusal = Refusal(
            verdict.event,
            entry.project if entry else "",
            verdict.peer,
            reason.value,
            verdict.at_ns,
        )
        self.refusals[reason.value] += 1
        sink = self._sink
        self._handover.post_optional(lambda: sink.publisher_refused(refusal))

    def _accept(self) -> None:
        """Take one connection; the epoll is level-triggered and says so when there are more."""
        socket = self._listener.accept()
        if socket is None:
            return
        self._take_verdicts()  # pushed before the connection completed
        verdict = self._passed.pop(socket, None)
        if verdict is None:
            log.warning("an SRT connection without a verdict was closed: the ring overflowed")
            self._listener.drop(socket)
            return
        entry = self._tables[-1][1].get(verdict.event)
        before = dict(self._tables).get(verdict.version, {}).get(verdict.event)
        reason = still_admitted(before, entry) if before else Reason.UNKNOWN_EVENT
        if entry is None or reason is not Reason.ADMITTED:
            self._listener.drop(socket)
            self._refuse(verdict, reason)
            return
        self._admit(socket, verdict, entry)

    def _admit(self, socket: int, verdict: Verdict, entry: AdmissionEntry) -> None:
        place = entry.event, verdict.role
        older = self._by_place.get(place)
        if older is not None:
            dead = self._listener.is_dead(older.socket)
            self._disconnect(older, "connection-lost" if dead else "taken-over")
        publisher = Publisher(
            next(self._ids),
            entry.project,
            entry.event,
            entry.feed,
            verdict.peer,
            verdict.at_ns,
            role=verdict.role,
        )
        # The larger of both sides' settings is in force.
        statistics = self._listener.statistics(socket) or SocketStatistics()
        connection = Connection(
            publisher,
            entry,
            socket,
            latency_ns=statistics.latency_ms * 1_000_000,
            sink=self._sink,
            handover=self._handover,
            stall_after_ns=self._stall_after_ns,
        )
        self._live[socket] = self._by_place[place] = connection
        self._listener.set_active(*place, socket)
        self._listener.watch(socket)

    def _read(self, socket: int) -> None:
        connection = self._live.get(socket)
        if connection is None:
            self._listener.drop(socket)
            return
        data = self._listener.drain(socket)
        if data is None:
            # The last `latency` of media is here but not due yet (TSBPD): read on, by polling,
            # because a broken socket is always "ready".
            self._listener.unwatch(socket)
            self._leaving[socket] = time.monotonic_ns() + connection.latency_ns + _TAIL_MARGIN_NS
        elif data:
            connection.receive(data)

    def _read_tails(self) -> None:
        """Publishers that are gone: what they had sent in time is still media."""
        now = time.monotonic_ns()
        for socket, deadline in list(self._leaving.items()):
            connection = self._live.get(socket)
            if connection is None:
                del self._leaving[socket]
                continue
            while data := self._listener.drain(socket):
                connection.receive(data)
            if self._listener.unread(socket) and now < deadline:
                continue
            if connection.finished() or now >= deadline + _FINISH_NS:
                self._disconnect(connection, "connection-lost")

    def _disconnect(self, connection: Connection, reason: str) -> None:
        if self._live.pop(connection.socket, None) is None:
            return
        self._leaving.pop(connection.socket, None)
        place = connection.publisher.place
        if self._by_place.get(place) is connection:
            del self._by_place[place]
            self._listener.set_active(*place, None)
        self._listener.drop(connection.socket)
        connection.close(reason)

    def _disconnect_id(self, publisher_id: int, reason: str) -> None:
        for connection in list(self._live.values()):
            if connection.publisher.id == publisher_id:
                self._disconnect(connection, reason)

    def _recheck(self) -> None:
        table = self._tables[-1][1]
        for connection in list(self._live.values()):
            now = table.get(connection.publisher.event)
            reason = still_admitted(connection.entry, now)
            if reason is not Reason.ADMITTED:
                self._disconnect(connection, reason.value)

    def _sweep(self) -> None:
        """Once a second: statistics, health, stalls, what libsrt logged."""
        now_ns = time.monotonic_ns()
        for connection in list(self._live.values()):
            statistics = self._listener.statistics(connection.socket)
            if statistics is not None:
                connection.check_health(statistics, now_ns)
            connection.check_stall()
            connection.check_fallback()
        self._snapshot = [c.statistics() for c in self._live.values()]
        lost = self._listener.verdicts_lost - self._verdicts_lost
        if lost:
            self._verdicts_lost += lost
            log.warning("%d SRT connect verdicts were lost: too many connects", lost)
        lines = self._listener.log_lines()
        if lines:
            log.debug("libsrt: %s (%d lines in the last second)", lines[-1], len(lines))
