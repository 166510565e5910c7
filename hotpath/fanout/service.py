"""Fan-out as the node sees it: programmes go on the air and off, viewers come, are told, and go.

Invariant: one feed per programme key, whatever the number of its incarnations; a session is in
`sessions` from its offer until everything it held is given up. Per second and viewer there is a
bounded, small amount of work here, and none per packet.

Upstream: the node's launcher (`open`, `close`) and control's wishes (`drain`, `revoke`, `end`).
Downstream: feeds, the kernel, `whep`. `run` owns every task; all of it lives on the event loop.
"""

import asyncio
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.feed import LINGER_S, Feed
from hotpath.fanout.joins import observe_join
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.limits import Cause, Gate, Limits, Refused
from hotpath.fanout.transcode import MakeBridge
from hotpath.fanout.viewer import CNAME, Counts, Randoms, ViewerSession
from hotpath.webrtc.errors import DtlsError, Overloaded
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.sdp import (
    MediaChoice,
    Offer,
    SendSsrcs,
    choose_viewer,
    viewer_answer,
)
from hotpath.webrtc.turn import TurnServers
from infra.auth.access import Access
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)

SECOND = 1_000_000_000
REVIEW_SLICES = 20
"""Every viewer is reviewed once in as many ticks, so that no tick has much to do."""
TICK_S = 0.1
JOIN_POLL_S = 0.01
JOIN_WATCHED_NS = 10 * SECOND
KEEP_ALIVE_S = 15.0
MAX_OVER = 1_000


@dataclass(slots=True)
class Programme:
    """A programme on the air."""

    feed: Feed
    access: str
    """Access of the event where the table does not hold it: `public` or `token`."""
    sessions: dict[str, ViewerSession] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    session: ViewerSession
    answer: str


class NotOnAir(LookupError):
    """Nothing is on the air for this key."""


class JoinRefused(Exception):
    """The node takes no further viewer just now."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


class FanoutService:
    """See the module for the invariant."""

    def __init__(
        self,
        mux: Mux,
        kernel: Kernel,
        access: Access,
        *,
        limits: Limits | None = None,
        make_bridge: MakeBridge | None = None,
        turn: TurnServers | None = None,
        linger_s: float = LINGER_S,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.mux = mux
        self.kernel = kernel
        self.access = access
        self.turn = turn or TurnServers()
        self.keep_alive_s = keep_alive_s
        self.gate = Gate(limits or Limits())
        self.counts = Counts()
        self.joins: Counter[str] = Counter()
        """Joins by result: `playing`, or why not."""
        self.left: Counter[str] = Counter()
        """Sessions that are over, by reason."""
        self.sessions: dict[str, ViewerSession] = {}
        self._make_bridge = make_bridge
        self._linger_s = linger_s
        self._programmes: dict[ProgramKey, Programme] = {}
        self._over: OrderedDict[ProgramKey, None] = OrderedDict()
        self._joining: dict[str, ViewerSession] = {}
        self._someone_joins = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # -- programmes --------------------------------------------------------------------------

    def open(
        self,
        stream: ProgramStream,
        *,
        access: str,
        request_keyframe: Callable[[], None] | None = None,
    ) -> None:
        """A programme is on the air; the sessions of an earlier incarnation go on in it."""
        programme = self._programmes.get(stream.key)
        if programme is None:
            feed = Feed(
                stream.key,
                self.kernel,
                self._make_bridge,
                self._spawn,
                request_keyframe=request_keyframe,
                linger_s=self._linger_s,
            )
            programme = self._programmes[stream.key] = Programme(feed, access)
        self._over.pop(stream.key, None)
        programme.access = access
        programme.feed.follow(stream)

    def close(self, key: ProgramKey) -> None:
        """The programme is over: tell its viewers, and let go of it."""
        programme = self._programmes.pop(key, None)
        if programme is None:
            return
        self._over[key] = None
        while len(self._over) > MAX_OVER:
            self._over.popitem(last=False)
        for session in list(programme.sessions.values()):
            session.end("ended", "event-over")
        programme.feed.close()

    def is_over(self, key: ProgramKey) -> bool:
        """Whether it was on the air here and is over, as far as is remembered."""
        return key in self._over

    def programme(self, key: ProgramKey) -> Programme | None:
        return self._programmes.get(key)

    def feeds(self) -> Iterator[tuple[Feed, int]]:
        """Every feed with the number of its sessions."""
        for programme in self._programmes.values():
            yield programme.feed, len(programme.sessions)

    # -- viewers -----------------------------------------------------------------------------

    def join(self, key: ProgramKey, offer: Offer, *, address: str, token_id: str | None) -> Joined:
        """Answer an offer; raises `NotOnAir`, `JoinRefused`, `SdpError` (no usable codec) or
        `DtlsError` (a fingerprint that cannot be used)."""
        now = time.monotonic_ns()
        programme = self._programmes.get(key)
        if programme is None or self._stopping:
            raise NotOnAir(str(key))
        media = choose_viewer(offer, profile_level_id=programme.feed.profile_level_id)
        refused = self.gate.join(key.event, address, now)
        if refused is not None:
            self.joins[refused.cause.value] += 1
            raise JoinRefused(refused)
        session = self._session(programme.feed, media, address, token_id, now)
        try:
            session.peer = self.mux.open(session, role_hint="viewer")
        except Overloaded as error:
            self.gate.leave(key.event, address)
            raise JoinRefused(self._no_peers(error)) from error
        programme.sessions[session.id] = self.sessions[session.id] = session
        self._joining[session.id] = session
        self._someone_joins.set()
        return Joined(session, self._answer(session, offer))

    def _session(
        self, feed: Feed, media: MediaChoice, address: str, token_id: str | None, now: int
    ) -> ViewerSession:
        return ViewerSession(
            secrets.token_urlsafe(24),
            feed,
            self.kernel,
            media,
            _randoms(),
            address=address,
            token_id=token_id,
            counts=self.counts,
            on_closed=self._closed,
            posted_ns=now,
        )

    def _answer(self, session: ViewerSession, offer: Offer) -> str:
        peer = session.peer
        passive = offer.answer_setup == "passive"
        session.remote_ufrag, session.etag = offer.ufrag, f'"{peer.ufrag}"'
        answer = viewer_answer(
            offer,
            session.media,
            ufrag=peer.ufrag,
            pwd=peer.pwd,
            fingerprint=self.mux.fingerprint,
            candidates=self.mux.candidates,
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

    def _no_peers(self, error: Overloaded) -> Refused:
        self.joins[Cause.NODE_FULL.value] += 1
        return Refused(Cause.NODE_FULL, str(error), 10)

    def _closed(self, session: ViewerSession, reason: str) -> None:
        """From the session: everything it held outside of this service is given up."""
        key = session.feed.key
        self.sessions.pop(session.id, None)
        if self._joining.pop(session.id, None) is not None:
            self.joins[reason if session.connected_ns is None else "no-picture"] += 1
        self.left[reason] += 1
        self.gate.leave(key.event, session.address)
        programme = self._programmes.get(key)
        if programme is not None:
            programme.sessions.pop(session.id, None)

    # -- what viewers are told ---------------------------------------------------------------

    def drain(self, reason: str, url: str | None = None) -> None:
        """Ask every viewer to go elsewhere; they go when they play there."""
        data = {"reason": reason, "url": url} if url else {"reason": reason}
        for session in self.sessions.values():
            session.tell("drain", data)

    def move(self, session_id: str, url: str, reason: str) -> bool:
        """Ask one viewer to go on at `url`; False: there is no such session."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.tell("move", {"url": url, "reason": reason})
        return session is not None

    def revoke(self, *, token_id: str | None = None, session_id: str | None = None) -> int:
        """End the sessions that came with this token, or this session; how many there were."""
        found = [
            session
            for session in self.sessions.values()
            if session.id == session_id or (token_id is not None and session.token_id == token_id)
        ]
        for session in found:
            session.end("revoked", "revoked")
        return len(found)

    def end(self, event: str) -> int:
        """The event is over for viewers, now; how many there were."""
        found = [s for s in self.sessions.values() if s.feed.key.event == event]
        for session in found:
            session.end("ended", "event-over")
        return len(found)

    # -- tasks -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; then every session ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tick(), name="fanout tick")
                tasks.create_task(self._watch_joins(), name="fanout joins")
        finally:
            await self._stop()

    def stop(self) -> None:
        """Take nobody in any more and end every session, so that HTTP streams end too."""
        self._stopping = True
        for session in list(self.sessions.values()):
            session.end("drain", "node-stopping")

    async def _stop(self) -> None:
        self.stop()
        for programme in self._programmes.values():
            programme.feed.close()
        self._programmes.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(
        self, work: Callable[[], Coroutine[Any, Any, None]], name: str
    ) -> "asyncio.Task[None]":
        """A task of a feed, which may begin before `run`; it ends with `run` at the latest."""
        task = asyncio.get_running_loop().create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        try:
            await work()
        except Exception:
            log.exception("a task of the fan-out failed", task=name)

    async def _tick(self) -> None:
        slice_, measured_ns = 0, 0
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic_ns()
            for session in list(self.sessions.values())[slice_::REVIEW_SLICES]:
                session.review(now)
            slice_ = (slice_ + 1) % REVIEW_SLICES
            if now - measured_ns >= SECOND:
                measured_ns = now
                self._measure(now)

    def _measure(self, now: int) -> None:
        delay_ns = 0
        for programme in self._programmes.values():
            delay_ns = max(delay_ns, programme.feed.measure())
        cpu_ns = self.kernel.totals().cpu_ns
        self.gate.load.receive(now, cpu_ns, self.gate.viewers, delay_ns)

    async def _watch_joins(self) -> None:
        """Notice when a viewer's first picture has left; costs nothing while nobody joins."""
        while True:
            await self._someone_joins.wait()
            now = time.monotonic_ns()
            for session in list(self._joining.values()):
                if session.first_frame(now) or now - session.posted_ns > JOIN_WATCHED_NS:
                    del self._joining[session.id]
                    self._count_join(session)
            if not self._joining:
                self._someone_joins.clear()
            await asyncio.sleep(JOIN_POLL_S)

    def _count_join(self, session: ViewerSession) -> None:
        if session.first_sent_ns is None:
            self.joins["no-picture" if session.connected_ns else "no-connection"] += 1
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
