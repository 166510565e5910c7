"""ICE-lite for one peer: who may be answered, where its media goes, and whether it still consents.

Invariant: pure: time and the seed of transaction ids are arguments. Nothing is answered and nothing
changes unless MESSAGE-INTEGRITY matches the current or (until a restart is confirmed) the previous
credentials. An address is proven once it has answered a check of ours: whoever has the credentials
can forge a source address, but not read what is sent there. A path that is proven moves only to
another one that is. To an address that is not goes no reply larger than its request, and with our
checks at most `UNPROVEN_TIMES` what came from it.

Verbs: `receive`, `next_deadline`, `poll`. Upstream: `peer`. Spec: RFC 8445 (lite), RFC 7675,
RFC 9000 8.1 (by analogy).
"""

from dataclasses import dataclass

from hotpath.webrtc import stun
from hotpath.webrtc.ice_checks import Check, Checks
from hotpath.webrtc.ice_events import (
    ConsentExpired,
    Credentials,
    IceEvent,
    PathSelected,
    Retired,
    Send,
    Source,
)
from hotpath.webrtc.stun import Address, Kind, Message

MAX_SOURCES = 8
"""Addresses remembered per peer: a client has a handful; more is an attack."""
SILENT_NS = 3_000_000_000
"""A path unheard for this long yields to a check without USE-CANDIDATE from elsewhere (the client
was rebound by its NAT). Chromium checks its selected pair every 2.5 s."""
UNPROVEN_TIMES = 3
_ROUND_TRIP_EVERY_NS = 10_000_000_000


@dataclass(slots=True)
class _Way:
    """A source of authentic checks."""

    heard_ns: int
    proven: bool
    received: int = 0
    sent: int = 0
    """Bytes, while it is not proven."""

    def takes(self, size: int) -> bool:
        """May so much be sent to it? If so, it is counted."""
        if not self.proven and self.sent + size > UNPROVEN_TIMES * self.received:
            return False
        self.sent += size
        return True


class IceAgent:
    __slots__ = (
        "_checks",
        "_consent_ns",
        "_events",
        "_local",
        "_measure_at",
        "_old_local",
        "_remote",
        "_ways",
        "round_trip_ns",
        "selected",
    )

    def __init__(self, local: Credentials, *, seed: bytes, consent_ns: int) -> None:
        """`seed`: secret and random; transaction ids are derived from it."""
        self._local = local
        self._old_local: Credentials | None = None
        self._remote: Credentials | None = None
        self._consent_ns = consent_ns
        self._ways: dict[Source, _Way] = {}
        self._checks = Checks(seed)
        self._measure_at: int | None = None
        self._events: list[IceEvent] = []
        self.selected: Source | None = None
        self.round_trip_ns: int | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every address that authentic checks came from, least recently heard first."""
        return tuple(self._ways)

    def set_remote(self, remote: Credentials) -> None:
        self._remote = remote

    def restart(self, local: Credentials, remote: Credentials) -> None:
        """RFC 8445 9: media goes on; what was confirmed is valid until the new is used."""
        if self._old_local is None:
            self._old_local = self._local
        else:
            self._events.append(Retired(self._local.ufrag))
        self._local = local
        self._remote = remote
        self._checks.end()

    def establish(self, now: int) -> None:
        """DTLS is done over the selected path: its round trip is measured from now on."""
        self._measure_at = now

    def heard(self, source: Source, now: int) -> None:
        """Authenticated media from `source`: it is alive. Unknown sources stay unknown."""
        if (way := self._ways.get(source)) is not None:
            way.heard_ns = max(way.heard_ns, now)  # what the kernel heard is told later

    def proves(self, source: Source | None) -> bool:
        """Whether `source` has answered a check of ours: it may be sent whatever there is."""
        return source in self._ways and self._ways[source].proven

    def holds(self, source: Source, now: int) -> bool:
        """True while the peer's media goes to `source` and it is heard from there."""
        return source == self.selected and now - self._ways[source].heard_ns < SILENT_NS

    def authentic(self, message: Message, data: bytes) -> bool:
        """Would `receive` take this request?"""
        return self._credentials(message, data) is not None

    @property
    def busy(self) -> bool:
        """A check of ours is under way: poll often."""
        return self._checks.current is not None

    def receive(
        self,
        message: Message,
        data: bytes,
        source: Source,
        address: Address,
        now: int,
        *,
        proven: bool = False,
    ) -> bytes | None:
        """A STUN message from `source`, which is at `address`; the reply to send there, if any.

        `proven`: it needs no check, as it is a TCP connection.
        """
        if message.kind is Kind.REQUEST:
            used = self._credentials(message, data)
            if used is None:
                return None
            reply, taken = self._reply(message, address, used)
            proven = proven or self.proves(source)
            if not proven and len(reply) > len(data):
                return None
            if taken:
                self._note(source, proven, len(data), len(reply), now)
                self._receive_request(message, source, used, now)
            return reply
        if message.kind in (Kind.RESPONSE, Kind.ERROR):
            self._receive_response(message, data, source, now)
        return None

    def next_deadline(self) -> int | None:
        deadlines = []
        if (check := self._checks.current) is not None:
            deadlines.append(check.due_ns)
        elif self._measure_at is not None:
            deadlines.append(self._measure_at)
        if self.selected is not None:
            deadlines.append(self._ways[self.selected].heard_ns + self._consent_ns)
        return min(deadlines, default=None)

    def poll(self, now: int) -> list[IceEvent]:
        if (check := self._checks.current) is not None and now >= check.due_ns:
            self._resend(check, now)
        if not self.busy and self._measure_at is not None and now >= self._measure_at:
            self._measure_at = now + _ROUND_TRIP_EVERY_NS
            self._start_check(self.selected, now, moves=False)
        held = self.selected is not None
        if held and now - self._ways[self.selected].heard_ns >= self._consent_ns:
            self._events.append(ConsentExpired())
        events, self._events = self._events, []
        return events

    def _credentials(self, message: Message, data: bytes) -> Credentials | None:
        """Those with which the request is authentic; None: it is not."""
        for known in (self._local, self._old_local):
            if known is not None and known.ufrag == message.local_ufrag:
                return known if stun.verify(data, message, known.key) else None
        return None

    def _reply(self, message: Message, address: Address, used: Credentials) -> tuple[bytes, bool]:
        """What an authentic request is answered, and whether it is taken."""
        if message.unknown:
            return stun.error(message, 420, used.key), False
        if message.controlled is not None:
            # RFC 8445 7.3.1.1: a lite agent facing a full one is controlled (6.1.1) and stays so.
            return stun.error(message, 487, used.key), False
        return stun.response(message, address, used.key), True

    def _receive_request(
        self, message: Message, source: Source, used: Credentials, now: int
    ) -> None:
        if self._wants(source, nominated=message.use_candidate, now=now):
            self._move(source, now)
        elif source == self.selected and not self.proves(source) and not self.busy:
            self._start_check(source, now, moves=False)
        confirmed = message.use_candidate or source == self.selected
        if self._old_local is not None and used is self._local and confirmed:
            self._events.append(Retired(self._old_local.ufrag))
            self._old_local = None

    def _receive_response(self, message: Message, data: bytes, source: Source, now: int) -> None:
        check = self._checks.current
        if check is None or self._remote is None or not check.answered_by(message, source):
            return
        if not stun.verify(data, message, self._remote.key):
            return
        self._checks.end()
        way = self._ways.get(source)
        if message.kind is Kind.ERROR or way is None:
            return
        if check.tries == 1:  # a resent request does not say which copy was answered (Karn)
            self.round_trip_ns = now - check.sent_ns
        way.heard_ns, way.proven = now, True
        if check.moves:
            self._select(source)

    def _note(self, source: Source, proven: bool, received: int, sent: int, now: int) -> None:
        """An authentic request of `received` bytes, which is answered with `sent`."""
        way = self._ways.pop(source, None) or _Way(now, proven)
        way.heard_ns = now
        way.received += received
        way.sent += sent
        self._ways[source] = way
        if len(self._ways) > MAX_SOURCES:
            del self._ways[next(s for s in self._ways if s != self.selected)]

    def _wants(self, source: Source, *, nominated: bool, now: int) -> bool:
        """Should the path be `source`? By nomination, or because the present one is silent."""
        if self.selected is None:
            return True
        if source == self.selected:
            return False
        return nominated or now - self._ways[self.selected].heard_ns >= SILENT_NS

    def _move(self, source: Source, now: int) -> None:
        if not self.proves(self.selected):
            self._select(source)
            if not self.proves(source):
                self._start_check(source, now, moves=False)
            return
        check = self._checks.current
        if check is None or not check.moves or check.source != source:
            self._start_check(source, now, moves=True)

    def _select(self, source: Source) -> None:
        if source != self.selected:
            self.selected = source
            self._events.append(PathSelected(source))

    def _start_check(self, source: Source, now: int, *, moves: bool) -> None:
        if self._remote is None or source is None:
            return
        self._send(self._checks.start(source, now, moves=moves), self._remote)

    def _resend(self, check: Check, now: int) -> None:
        if check.spent or check.source not in self._ways or not self._remote:
            self._checks.end()
            return
        check.tries += 1
        check.sent_ns = now
        self._send(check, self._remote)

    def _send(self, check: Check, remote: Credentials) -> None:
        request = self._checks.request(check, self._local, remote)
        if self._ways[check.source].takes(len(request)):
            self._events.append(Send(request, check.source))
