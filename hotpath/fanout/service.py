"""Fan-out as the node sees it: programmes go on the air and off; viewers come, are told, and go.

Invariant: one feed per programme key, whatever the number of its incarnations. From `drain` on, or
`take(False)` until `take(True)`, nobody gets in, and after `stop` everybody was told.

Upstream: the node's launcher (`open`, `close`), its neighbours (`take`, `move`, `give_up`) and
control's wishes (`recheck`, `end`).
Downstream: feeds, sessions, the kernel; `whep` is its HTTP. `run` owns every task; all of it lives
on the event loop.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.control import ControlEvent
from hotpath.fanout.feed import LINGER_S, Feed
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.limits import Cause, Gate, Limits, Measured, Refused
from hotpath.fanout.markers import Markers
from hotpath.fanout.sessions import Joined, JoinRefused, Sessions
from hotpath.fanout.transcode import MakeBridge
from hotpath.fanout.viewer import ViewerSession
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.sdp import Offer
from hotpath.webrtc.turn import TurnServers
from infra.auth.access import Access, Denied
from infra.auth.policy import UNLIMITED, Rights
from infra.cores import available_cores
from infra.events.desired import DesiredMarker
from infra.keys import ProgramKey
from infra.proxies import Proxies

log = structlog.get_logger(__name__)

MEASURE_S = 1.0
RECHECK_S = 10.0
KEEP_ALIVE_S = 15.0
DRAINING = Refused(Cause.DRAINING, "the node takes no viewers, and may be about to stop", 5)
"""What whoever joins is told from `drain` on; by then another node answers, or this one again."""
MAX_OVER = 1_000
"""Programmes that are remembered as over."""


@dataclass(slots=True)
class Programme:
    """A programme on the air."""

    feed: Feed
    access: str
    """Access of the event where the table does not hold it: `public` or `token`."""
    markers: Markers = field(default_factory=Markers)


def _nowhere(_key: ProgramKey) -> str | None:
    return None


def _whep_url(node: str, key: ProgramKey) -> str:
    """A programme at the node with this base URL."""
    return f"{node.rstrip('/')}/live/{key}/whep"


class NotOnAir(LookupError):
    """Nothing is on the air for this key."""


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
        proxies: Proxies | None = None,
        linger_s: float = LINGER_S,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        """`make_bridge`: None where nothing can be encoded; such tracks are left out then."""
        self.mux = mux
        self.kernel = kernel
        self.access = access
        self.turn = turn or TurnServers()
        self.proxies = proxies or Proxies()
        """Those that are believed whose requests they bring."""
        self.keep_alive_s = keep_alive_s
        self.gate = Gate(limits or Limits(), cores=available_cores())
        self.viewers = Sessions(mux, kernel, self.gate)
        self._make_bridge = make_bridge
        self._linger_s = linger_s
        self._programmes: dict[ProgramKey, Programme] = {}
        self._over: OrderedDict[ProgramKey, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        """Nobody is taken in any more."""

    # -- programmes --------------------------------------------------------------------------

    def open(
        self,
        stream: ProgramStream,
        *,
        access: str,
        request_keyframe: Callable[[], None] | None = None,
    ) -> None:
        """A programme is on the air; the sessions of an earlier incarnation go on in it.

        Call it before the first item is published: the feed reads from now on.
        `request_keyframe` asks the publisher, where one can be asked.
        """
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
        for session in self.viewers.of(key):
            session.end("ended", "event-over")
        programme.feed.close()

    def give_up(self, key: ProgramKey) -> None:
        """Another node goes on with the programme: who is here still joins anew."""
        programme = self._programmes.pop(key, None)
        if programme is None:
            return
        for session in self.viewers.of(key):
            session.end("drain", "moved")
        programme.feed.close()

    def is_over(self, key: ProgramKey) -> bool:
        """Whether it was on the air here and is over, as far as is remembered."""
        return key in self._over

    def programme(self, key: ProgramKey) -> Programme | None:
        return self._programmes.get(key)

    def feeds(self) -> Iterator[Feed]:
        return (programme.feed for programme in self._programmes.values())

    # -- viewers -----------------------------------------------------------------------------

    @property
    def sessions(self) -> dict[str, ViewerSession]:
        return self.viewers.table

    def join(
        self,
        key: ProgramKey,
        offer: Offer,
        *,
        address: str,
        token: str | None,
        token_id: str | None,
        host: str = "",
        rights: Rights = UNLIMITED,
    ) -> Joined:
        """Answer an offer; raises `NotOnAir` and what `Sessions.join` raises."""
        if self.draining:
            raise JoinRefused(DRAINING)
        programme = self._programmes.get(key)
        if programme is None:
            raise NotOnAir(str(key))
        return self.viewers.join(
            programme.feed,
            offer,
            address=address,
            token=token,
            token_id=token_id,
            host=host,
            rights=rights,
        )

    def drain(self, reason: str, elsewhere: Callable[[ProgramKey], str | None] = _nowhere) -> None:
        """Take nobody in any more, and ask every viewer to go; they go when they play there.

        `elsewhere`: base URL of the node that has a programme as well, where one has.
        """
        self.draining = True
        for session in self.sessions.values():
            node = elsewhere(session.feed.key)
            there = {"url": _whep_url(node, session.feed.key)} if node else {}
            session.tell("drain", {"reason": reason, **there})

    def take(self, viewers: bool) -> None:
        """Whether viewers are taken in; who is here is told nothing."""
        self.draining = not viewers

    def set_markers(self, key: ProgramKey, markers: Sequence[DesiredMarker]) -> None:
        """The event has these markers: tell the programme's viewers what is new about them."""
        programme = self._programmes.get(key)
        if programme is None:
            return
        news = programme.markers.receive(markers)
        # Who has not come to its channel yet is reminded when it does.
        sessions = [s for s in self.viewers.of(key) if s.channel.listened] if news else []
        for session in sessions:
            for marker in news:
                session.tell("marker", marker)

    def reminders(self, key: ProgramKey) -> list[ControlEvent]:
        """What a viewer that opens its control channel now has missed and still needs."""
        programme = self._programmes.get(key)
        recalled = programme.markers.recalled(time.time_ns() // 1_000_000) if programme else []
        return [ControlEvent("marker", marker) for marker in recalled]

    def move(self, session_id: str, node: str, reason: str) -> bool:
        """Ask one viewer to go on at the node with the base URL `node`; False: there is no such
        session."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.tell("move", {"url": _whep_url(node, session.feed.key), "reason": reason})
        return session is not None

    def fall_back(self, session_id: str, reason: str, detail: str) -> bool:
        """Send one viewer to LL-HLS; False: there is no such session."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.fall_back(reason, detail)
        return session is not None

    def recheck(self) -> int:
        """End the sessions that may no longer be, and give the others what is due to them now; how
        many ended.

        For whoever changes the access table; expiry is looked at here every `RECHECK_S`.
        """
        ended = 0
        for session in list(self.sessions.values()):
            key = session.feed.key
            programme = self._programmes.get(key)
            default = programme.access if programme is not None else "token"
            path = f"/live/{key}/whep"
            found = self.access.admit(
                key.project, key.event, path, session.token, default, address=session.host
            )
            if isinstance(found, Denied):
                session.end("revoked", "token", detail=found.reason)
            elif found.claims is not None:
                session.entitle(found.rights)
            ended += session.closed is not None
        return ended

    def end(self, event: str) -> int:
        """The event is over for viewers, now; how many there were."""
        found = [s for s in self.sessions.values() if s.feed.key.event == event]
        for session in found:
            session.end("ended", "event-over")
        return len(found)

    # -- life --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; then every session ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.viewers.run(), name="fanout viewers")
                tasks.create_task(self._measure(), name="fanout load")
                tasks.create_task(self._recheck(), name="fanout access")
        finally:
            await self._stop()

    def stop(self) -> None:
        """Take nobody in any more and end every session, so that HTTP streams end too."""
        self.draining = True
        for session in list(self.sessions.values()):
            session.end("drain", "node-stopping")

    async def _stop(self) -> None:
        self.stop()
        for feed in self.feeds():
            feed.close()
        self._programmes.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(
        self, work: Callable[[], Coroutine[Any, Any, None]], name: str
    ) -> "asyncio.Task[None]":
        """A task of a feed, which may begin before `run`; it ends with `run` at the latest."""
        task = asyncio.get_running_loop().create_task(_guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            self.recheck()

    async def _measure(self) -> None:
        """Tell the gate how busy this process is and what viewers lose."""
        while True:
            await asyncio.sleep(MEASURE_S)
            delay_ns = max((feed.measure() for feed in self.feeds()), default=0)
            totals = self.kernel.totals()
            self.gate.load.receive(
                Measured(
                    time.monotonic_ns(),
                    totals.cpu_ns,
                    time.process_time_ns(),
                    self.gate.viewers,
                    delay_ns,
                    totals.frames,
                    totals.frames_dropped,
                )
            )


async def _guarded(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    try:
        await work()
    except Exception:
        log.exception("a task of the fan-out failed", task=name)
