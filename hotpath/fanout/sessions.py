"""The viewers of the node: how they get in, who they are, and how they went.

Invariant: a session is in the table from its offer until everything it held is given up, and counts
against the gate for as long. Per second and viewer there is a bounded, small amount of work here,
and none per packet.

Upstream: `service`, for `whep`. Downstream: `ViewerSession`, the mux and the gate. `run` watches
over all of them. Lives on the event loop.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from hotpath.fanout.farewells import Farewells
from hotpath.fanout.feed import Feed
from hotpath.fanout.joins import observe_join
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.limits import Cause, Gate, Place, Refused
from hotpath.fanout.tracks import Randoms
from hotpath.fanout.viewer import CNAME, Counts, ViewerSession
from hotpath.webrtc.errors import DtlsError, Overloaded
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.sdp import Offer, SendSsrcs, choose_viewer, viewer_answer
from infra.auth.policy import LEAST, UNLIMITED, Load, Rights, under
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)

SECOND = 1_000_000_000
REVIEW_SLICES = 8
"""Every viewer is reviewed once in as many ticks, so that no tick has much to do."""
TICK_S = 0.25
JOIN_POLL_S = 0.01
JOIN_POLL_EACH_S = 0.0002
"""Added for each that joins, so that a crowd without a picture yet costs no more than a few."""
JOIN_WATCHED_NS = 10 * SECOND
FULL = frozenset({Cause.NODE_FULL, Cause.EVENT_FULL, Cause.OVERLOADED})
"""Refusals that somebody's place helps against."""
TAKEN = "somebody of higher priority needed the place"
TAKEN_RETRY_S = 30
TAKING = 3
"""Sessions of one token while which it may take further places: devices of one person."""


@dataclass(frozen=True, slots=True)
class Joined:
    session: ViewerSession
    answer: str


class JoinRefused(Exception):
    """The node takes no further viewer just now."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


class Sessions:
    """See the module for the invariant."""

    def __init__(self, mux: Mux, kernel: Kernel, gate: Gate) -> None:
        self.table: dict[str, ViewerSession] = {}
        self.counts = Counts()
        self.joins: Counter[str] = Counter()
        """Joins by result: `playing`, or why not: the problem's slug, or the reason of the end."""
        self.left: Counter[str] = Counter()
        """Sessions that are over, by reason."""
        self.farewells = Farewells()
        self._mux = mux
        self._kernel = kernel
        self._gate = gate
        self._connecting: set[str] = set()
        """Sessions that the gate has not been told of as connected."""
        self._joining: dict[str, ViewerSession] = {}
        """Connected, and their first picture was not seen to leave yet."""
        self._someone_joins = asyncio.Event()

    def of(self, key: ProgramKey) -> list[ViewerSession]:
        return [session for session in self.table.values() if session.feed.key == key]

    def join(
        self,
        feed: Feed,
        offer: Offer,
        *,
        address: str,
        token: str | None,
        token_id: str | None,
        host: str = "",
        rights: Rights = UNLIMITED,
    ) -> Joined:
        """Answer an offer; raises `JoinRefused`, `SdpError` (no usable codec) or `DtlsError` (a
        fingerprint that cannot be used)."""
        now, event = time.monotonic_ns(), feed.key.event
        media = choose_viewer(offer, profile_level_id=feed.profile_level_id)
        self._enter(event, address, token, rights, now)
        session = ViewerSession(
            secrets.token_urlsafe(24),
            feed,
            self._kernel,
            media,
            _randoms(),
            address=address,
            token=token,
            token_id=token_id,
            host=host,
            rights=rights,
            counts=self.counts,
            on_connected=self._connected,
            on_closed=self._closed,
            posted_ns=now,
        )
        try:
            session.peer = self._mux.open(session, role_hint="viewer")
        except Overloaded as error:
            self._gate.leave(event, address, connected=False)
            raise JoinRefused(Refused(Cause.NODE_FULL, str(error), 10)) from error
        self.table[session.id] = session
        self._connecting.add(session.id)
        return Joined(session, self._answer(session, offer))

    def _enter(self, event: str, address: str, token: str | None, rights: Rights, now: int) -> None:
        """Through the gate, if need be in the place of somebody of lower priority; raises
        `JoinRefused`."""
        refused = self._gate.join(event, address, now)
        if refused is None:
            return
        # A crowd before a full node looks at nobody: less than the least there is not.
        lowest = self._lowest(refused.cause, event) if rights.priority > LEAST else None
        full = Load(full=True, lowest=None if lowest is None else lowest.rights.priority)
        if lowest is None or not under(rights, full).path.whep or self._has_taken(token):
            raise JoinRefused(refused)
        place = Place(lowest.feed.key.event, lowest.address)
        refused = self._gate.join(event, address, now, instead_of=place)
        if refused is not None:
            raise JoinRefused(refused)
        lowest.fall_back("place-taken", TAKEN, retry_after_s=TAKEN_RETRY_S)

    def _has_taken(self, token: str | None) -> bool:
        """Whether a token has as many sessions as may take others' places, whoever spreads it."""
        return sum(session.token == token for session in self.table.values()) >= TAKING

    def _lowest(self, cause: Cause, event: str) -> ViewerSession | None:
        """Who gives its place first: of the lowest priority the one who came last."""
        if cause not in FULL:
            return None
        alike = cause is not Cause.EVENT_FULL
        found = (s for s in self.table.values() if alike or s.feed.key.event == event)
        return min(found, key=lambda s: (s.rights.priority, -s.posted_ns), default=None)

    def _answer(self, session: ViewerSession, offer: Offer) -> str:
        peer = session.peer
        passive = offer.answer_setup == "passive"
        session.remote_ufrag, session.etag = offer.ufrag, f'"{peer.ufrag}"'
        answer = viewer_answer(
            offer,
            session.media,
            ufrag=peer.ufrag,
            pwd=peer.pwd,
            fingerprint=self._mux.fingerprint,
            candidates=self._mux.candidates,
            setup="passive" if passive else "active",
            ssrcs=session.randoms.ssrcs,
            cname=CNAME,
            stream_id=session.feed.key.event,
        )
        role: Literal["server", "client"] = "server" if passive else "client"
        try:
            peer.accept(offer.ufrag, offer.pwd, offer.fingerprint, role)
        except DtlsError:
            session.leave()
            raise
        return answer

    def _connected(self, session: ViewerSession) -> None:
        self._gate.connected(session.address)
        self._connecting.discard(session.id)
        self._joining[session.id] = session
        self._someone_joins.set()

    def _closed(self, session: ViewerSession, reason: str) -> None:
        """From the session: everything it held outside of this table is given up."""
        self.table.pop(session.id, None)
        final = session.channel.final
        if final is not None:
            self.farewells.keep(session.id, session.feed.key, final, time.monotonic_ns())
        if self._joining.pop(session.id, None) is not None:
            self.joins["no-picture"] += 1
        elif session.connected_ns is None:
            self.joins[reason] += 1
        self.left[reason] += 1
        connected = session.id not in self._connecting
        self._connecting.discard(session.id)
        self._gate.leave(session.feed.key.event, session.address, connected=connected)

    # -- watching over them ------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._review(), name="fanout review")
            tasks.create_task(self._watch_joins(), name="fanout joins")

    async def _review(self) -> None:
        part = 0
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic_ns()
            self.farewells.forget(now)
            for session in list(self.table.values())[part::REVIEW_SLICES]:
                self._isolated(session, session.review, now)
            part = (part + 1) % REVIEW_SLICES

    def _isolated(self, session: ViewerSession, work: Callable[[int], object], now: int) -> None:
        """A bug that one viewer brings out costs that viewer alone."""
        try:
            work(now)
        except Exception:
            log.exception("a viewer brought out a bug", program=str(session.feed.key))
            session.drop("internal-error")

    async def _watch_joins(self) -> None:
        """Notice when a viewer's first picture has left; costs nothing while nobody joins."""
        while True:
            await self._someone_joins.wait()
            now = time.monotonic_ns()
            for session in list(self._joining.values()):
                self._isolated(session, session.first_frame, now)
                seen = session.first_sent_ns is not None
                late = now - session.posted_ns >= JOIN_WATCHED_NS
                if session.id in self._joining and (seen or late):
                    del self._joining[session.id]
                    self._count_join(session)
            if not self._joining:
                self._someone_joins.clear()
            await asyncio.sleep(JOIN_POLL_S + JOIN_POLL_EACH_S * len(self._joining))

    def _count_join(self, session: ViewerSession) -> None:
        if session.first_sent_ns is None:
            self.joins["no-picture"] += 1
            return
        self.joins["playing"] += 1
        observe_join(session.posted_ns, session.connected_ns, session.first_sent_ns)


def _randoms() -> Randoms:
    """RFC 3550 5.1: all of it random, the SSRCs distinct."""
    ssrcs: set[int] = set()
    while len(ssrcs) < 3:
        ssrcs.add(secrets.randbits(32) or 1)
    video, rtx, audio = ssrcs
    # RFC 3711 3.3.1: the receiver guesses the rollover counter, so begin in the lower half.
    sequences = (secrets.randbits(15), secrets.randbits(15), secrets.randbits(15))
    offsets = (secrets.randbits(32), secrets.randbits(32))
    return Randoms(SendSsrcs(video, rtx, audio), sequences, offsets)
