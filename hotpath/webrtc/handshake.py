"""One DTLS handshake in time: what is sent, what is sent again, and what a worker has to do next.

Invariant: pure: time is an argument and OpenSSL is stepped by whoever calls `work`. At most
`MAX_WAITING` datagrams wait; the last flight is kept and resent after 100 ms (doubling), or at once
when the peer repeats what it answered, but never more often than every `_RESEND_GAP_NS`.

Verbs: `receive`, `work`/`finish`, `next_deadline`, `poll`. Upstream: `peer`. Downstream: `dtls`.
Spec: RFC 6347 4.2.4 (its timer starts at 1 s; RFC 9147 5.8.2 allows an informed shorter one).
"""

from dataclasses import dataclass

from hotpath.webrtc.dtls import Connected, DtlsEngine, DtlsRole, Step
from hotpath.webrtc.dtls_records import AlertKeys, carries_handshake, newest_message, records
from hotpath.webrtc.errors import DtlsError

MAX_WAITING = 16
_FIRST_TIMEOUT_NS = 100_000_000
_LAST_TIMEOUT_NS = 1_600_000_000
_RESEND_GAP_NS = 25_000_000
_MAX_RESENDS = 24
_MAX_UNASKED = 8
"""Resends of one flight by the timer, in 8 s: a peer that lives repeats itself and is answered, and
one that never asked (its address was forged) is not flooded."""


class Handshake:
    __slots__ = (
        "_answered",
        "_engine",
        "_flight",
        "_newest",
        "_out",
        "_resends",
        "_role",
        "_sent_ns",
        "_timeout_ns",
        "_unasked",
        "_waiting",
        "_working",
        "connected",
        "dropped",
        "error",
        "resent",
    )

    def __init__(self, engine: DtlsEngine, role: DtlsRole) -> None:
        self._engine: DtlsEngine | None = engine
        self._role = role
        self._waiting: list[bytes] = []
        self._working = False
        self._flight: tuple[bytes, ...] = ()
        self._out: list[bytes] = []
        self._newest = -1
        self._answered = -1
        self._sent_ns = 0
        self._timeout_ns = _FIRST_TIMEOUT_NS
        self._resends = 0
        self._unasked = 0
        self.connected: Connected | None = None
        self.error: DtlsError | None = None
        self.dropped = 0
        self.resent = 0

    @property
    def done(self) -> bool:
        return self.connected is not None or self.error is not None

    def receive(self, data: bytes, now: int) -> None:
        """A DTLS datagram of the peer."""
        if self.done:
            if carries_handshake(data):
                self._repeat(now)
            return
        newest = newest_message(data)
        if self._flight and -1 < newest <= self._answered:
            self._repeat(now)
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._newest = max(self._newest, newest)
        self._waiting.append(data)

    def work(self) -> "Work | None":
        """What a worker shall run now; None: nothing, or it is still at it."""
        start = self._role == "client" and not self._flight
        if self._working or self._engine is None or not (self._waiting or start):
            return None
        self._working = True
        received, self._waiting = self._waiting, []
        return Work(self._engine, received, self._newest)

    def undo(self, work: "Work") -> None:
        """No worker took it: the peer repeats what is lost."""
        self._working = False
        self.dropped += len(work.received)

    def finish(self, work: "Work", step: Step, now: int) -> None:
        self._working = False
        if step.flight:
            self._flight = step.flight
            self._answered = work.newest
            self._timeout_ns = _FIRST_TIMEOUT_NS
            self._unasked = 0
            self._sent_ns = now
            self._out += step.flight
        if step.connected is not None or step.error is not None:
            self.connected, self.error = step.connected, step.error
            self._engine = None
            self._waiting = []

    def next_deadline(self) -> int | None:
        if self.done or not self._flight or self._unasked >= _MAX_UNASKED:
            return None
        return self._sent_ns + self._timeout_ns

    def poll(self, now: int) -> list[bytes]:
        """Datagrams to be sent now."""
        deadline = self.next_deadline()
        if deadline is not None and now >= deadline and not self._working:
            self._timeout_ns = min(2 * self._timeout_ns, _LAST_TIMEOUT_NS)
            self._unasked += 1
            self._resend(now)
        out, self._out = self._out, []
        return out

    def tail(self) -> "Tail | None":
        """What remains of a finished handshake; the rest may be forgotten."""
        if self.connected is None:
            return None
        used = [r.sequence for data in self._flight for r in records(data) if r.epoch == 1]
        # A client's last message is answered by the server's, so only a server may be asked again.
        flight = self._flight if self._role == "server" else ()
        return Tail(self.connected.alerts, max(used, default=-1) + 1, flight)

    def _repeat(self, now: int) -> None:
        if now - self._sent_ns >= _RESEND_GAP_NS:
            self._resend(now)

    def _resend(self, now: int) -> None:
        # What has not left yet is not sent twice.
        if self._resends < _MAX_RESENDS and not self._out:
            self._resends += 1
            self.resent += 1
            self._sent_ns = now
            self._out += self._flight


@dataclass(frozen=True, slots=True)
class Work:
    """One step for a worker thread."""

    engine: DtlsEngine
    received: list[bytes]
    newest: int

    def run(self) -> Step:
        return self.engine.step(self.received)


class Tail:
    """After the handshake: the last flight for a peer that missed it, and alerts."""

    __slots__ = ("_alerts", "_flight", "_resends", "_sent_ns", "_sequence")

    def __init__(self, alerts: AlertKeys, sequence: int, flight: tuple[bytes, ...]) -> None:
        self._alerts = alerts
        self._sequence = sequence
        self._flight = flight
        self._resends = 0
        self._sent_ns = 0

    def receive(self, data: bytes, now: int) -> tuple[bytes, ...] | None:
        """Datagrams to send again; None: the peer has closed."""
        if self._alerts.closes(data):
            return None
        if (
            not self._flight
            or self._resends >= _MAX_RESENDS
            or now - self._sent_ns < _RESEND_GAP_NS
            or not carries_handshake(data)
        ):
            return ()
        self._resends += 1
        self._sent_ns = now
        return self._flight

    def close_notify(self) -> bytes:
        """Once."""
        record = self._alerts.close_notify(self._sequence)
        self._sequence += 1
        return record
