"""WHIP ingest: who is let in, and the sessions there are.

Invariant: at most one session of an event and role is connected and at most one waits for its
transport, so what a token's bearer can make is bounded; a second publisher of the role replaces
the first only once its media transport stands. Whom the table no longer admits is disconnected.

Upstream: `hotpath.ingest.whip` (HTTP) and the node's admission table. Downstream: `webrtc.mux`
(transport) and the `PublisherSink`. Everything runs on the event loop; orders of the node are
carried out on its next turn, since they may come from within a call to the sink.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from hotpath.ingest.admission import AdmissionEntry, Reason, Refusal, decide, still_admitted
from hotpath.ingest.errors import NoUsableCodec, PublishRefused
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.statistics import Publisher, WhipStatistics
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_session import WhipSession
from hotpath.webrtc.candidate import Candidate
from hotpath.webrtc.connect_rate import ConnectRate
from hotpath.webrtc.http import line_of
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.sdp import Offer, PublisherMedia, SdpError, choose_publisher, parse_offer
from infra.publishers import Place, Role

log = logging.getLogger(__name__)

_FULL_RETRY_S = 30
_RATE_RETRY_S = 2
_CHECK_NS = 1_000_000_000


class WhipIngest:
    """Serves while `run()` runs; `mux` is run by its owner."""

    def __init__(
        self,
        mux: Mux,
        sink: PublisherSink,
        *,
        ids: Iterator[int] | None = None,
        limits: WhipLimits | None = None,
    ) -> None:
        """`ids`: of publishers; shared with the ingests of other protocols."""
        self.limits = limits or WhipLimits()
        self.refusals: Counter[str] = Counter()
        """Refused publishers by reason, since the start."""
        self._mux = mux
        self._sink = sink
        self._ids = itertools.count(1) if ids is None else ids
        self._rate = ConnectRate(self.limits.connects_per_s, self.limits.connect_burst)
        self._table: dict[str, AdmissionEntry] = {}
        self._occupied: set[Place] = set()
        self._sessions: dict[str, WhipSession] = {}
        self._waiting: dict[Place, WhipSession] = {}
        self._connected: dict[Place, WhipSession] = {}
        self._orders: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._sleeping_until = 0
        self._snapshot: list[WhipStatistics] = []

    @property
    def candidates(self) -> Sequence[Candidate]:
        return self._mux.candidates

    # -- for the node ------------------------------------------------------------------------

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        """Replace the whole admission table; publishers it does not admit are disconnected."""
        self._table = {entry.event: entry for entry in entries}
        self._order(self._recheck)

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None:
        """Somebody has the place by another protocol, or no longer has."""
        (self._occupied.add if occupied else self._occupied.discard)((event, role))

    def disconnect(self, publisher_id: int, reason: str) -> None:
        """End a publisher; unknown ids are ignored."""
        self._order(lambda: self._disconnect_id(publisher_id, reason))

    def request_keyframe(self, place: Place) -> None:
        """Somebody has no picture of this publisher. Does nothing where it is not WHIP's."""
        session = self._connected.get(place)
        if session is not None:
            session.request_keyframe()

    def statistics(self) -> list[WhipStatistics]:
        """Every connected publisher, about a second old."""
        return self._snapshot

    async def run(self) -> None:
        """Serve until cancelled. Every publisher is then disconnected as `node-stopping`."""
        checked = time.monotonic_ns()
        try:
            while True:
                now = time.monotonic_ns()
                self._carry_out()
                self._each(WhipSession.poll, now)
                if now >= checked + _CHECK_NS:
                    checked = now
                    self._check(now)
                await self._sleep(checked + _CHECK_NS)
        finally:
            for session in list(self._sessions.values()):
                session.close("node-stopping")

    # -- for the endpoint --------------------------------------------------------------------

    def check(self, event: str, role: Role, token: str | None, peer: str) -> None:
        """Refuse at once whom the offer could not help. Raises `PublishRefused`."""
        now = time.monotonic_ns()
        line = line_of(peer.rpartition(":")[0].strip("[]"))
        if not self._rate.take(line, now):
            told = self._rate.tells(line, now)
            raise self._refused(event, peer, Reason.OVER_LIMIT, _RATE_RETRY_S, audited=told)
        self._admit(event, role, token, peer)

    def publish(
        self, event: str, role: Role, token: str | None, offer_text: str, peer: str
    ) -> WhipSession:
        """A session with its answer; it is the event's publisher once its transport stands.

        Raises `PublishRefused`, `SdpError`, `NoUsableCodec` or `Overloaded`.
        """
        entry = self._admit(event, role, token, peer)
        offer = parse_offer(offer_text)
        media = _media(offer)
        session = WhipSession(
            secrets.token_urlsafe(24), entry, role, media, peer, service=self, limits=self.limits
        )
        session.open(self._mux, offer)
        older = self._waiting.get(session.place)
        if older is not None:
            older.close("taken-over")
        self._sessions[session.id] = self._waiting[session.place] = session
        return session

    def session(self, event: str, session_id: str) -> WhipSession | None:
        found = self._sessions.get(session_id)
        return found if found is not None and found.entry.event == event else None

    # -- for sessions ------------------------------------------------------------------------

    def session_connected(self, session: WhipSession, path_peer: str) -> None:
        """Its transport stands: it becomes the event's publisher."""
        place = session.place
        now = time.monotonic_ns()
        table_entry = self._table.get(session.entry.event)
        # Somebody may have come while the transport was being set up.
        if self._is_busy(place) and not (table_entry and table_entry.takeover):
            session.close(Reason.BUSY.value)
            return
        older = self._connected.get(place)
        if older is not None:
            older.close("connection-lost" if older.is_silent(now) else "taken-over")
        if self._waiting.get(place) is session:
            del self._waiting[place]
        self._connected[place] = session
        entry = session.entry
        publisher = Publisher(
            next(self._ids),
            entry.project,
            entry.event,
            entry.feed,
            path_peer or session.peer_name,
            time.time_ns(),
            "whip",
            session.role,
        )
        session.begin(publisher, self._sink, now)

    def session_closed(self, session: WhipSession) -> None:
        self._sessions.pop(session.id, None)
        for sessions in (self._waiting, self._connected):
            if sessions.get(session.place) is session:
                del sessions[session.place]

    def session_due(self, deadline: int | None) -> None:
        """A session wants to be polled then."""
        if deadline is not None and deadline < self._sleeping_until:
            self._wake.set()

    # -- within ------------------------------------------------------------------------------

    def _admit(self, event: str, role: Role, token: str | None, peer: str) -> AdmissionEntry:
        place = event, role
        decided = decide(self._table, event, token, busy=self._is_busy(place))
        if isinstance(decided, Reason):
            raise self._refused(event, peer, decided, int(self.limits.idle_timeout_s))
        if len({place, *self._waiting, *self._connected}) > self.limits.publishers:
            raise self._refused(event, peer, Reason.OVER_LIMIT, _FULL_RETRY_S)
        return decided

    def _is_busy(self, place: Place) -> bool:
        if place in self._occupied:
            return True
        session = self._connected.get(place)
        return session is not None and not session.is_silent(time.monotonic_ns())

    def _refused(
        self, event: str, peer: str, reason: Reason, retry_s: int, *, audited: bool = True
    ) -> PublishRefused:
        self.refusals[reason.value] += 1
        if not audited:
            return PublishRefused(reason, retry_s)
        entry = self._table.get(event)
        # An event that nobody here knows is whatever the caller wrote into the path.
        name = event if entry else event[:64]
        project = entry.project if entry else ""
        self._sink.publisher_refused(Refusal(name, project, peer, reason.value, time.time_ns()))
        return PublishRefused(reason, retry_s)

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._wake.set()

    def _carry_out(self) -> None:
        orders, self._orders = self._orders, []
        for order in orders:
            order()

    def _recheck(self) -> None:
        for session in list(self._sessions.values()):
            reason = still_admitted(session.entry, self._table.get(session.entry.event))
            if reason is not Reason.ADMITTED:
                session.close(reason.value)

    def _disconnect_id(self, publisher_id: int, reason: str) -> None:
        for session in list(self._connected.values()):
            if session.publisher_id == publisher_id:
                session.close(reason)

    def _check(self, now: int) -> None:
        self._each(WhipSession.check, now)
        sessions = self._connected.values()
        self._snapshot = [s for s in (session.statistics() for session in sessions) if s]

    def _each(self, work: Callable[[WhipSession, int], None], now: int) -> None:
        """A bug that one publisher's stream brings out costs that publisher alone."""
        for session in list(self._connected.values()):
            try:
                work(session, now)
            except Exception:
                log.exception("a WHIP publisher of %s brought out a bug", session.entry.event)
                session.close("internal error")

    async def _sleep(self, latest: int) -> None:
        deadlines = [session.next_deadline() for session in self._connected.values()]
        self._sleeping_until = min([latest, *(d for d in deadlines if d is not None)])
        wait_s = max(0.0, (self._sleeping_until - time.monotonic_ns()) / 1e9)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()


def _media(offer: Offer) -> PublisherMedia:
    try:
        return choose_publisher(offer)
    except SdpError as error:
        raise NoUsableCodec(str(error)) from error
