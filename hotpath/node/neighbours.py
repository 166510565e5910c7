"""This node among the others: tells of itself, hears of them, and lets viewers follow their events.

Invariant: nothing on the media path waits for it. While the bus is away nobody is asked to go
anywhere, no programme is given up, and a drain that was begun goes on as one.

Upstream: `infra.events.nodes_bus`. Downstream: `Programs`, the fan-out; `draining` decides.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import structlog
from pydantic import ValidationError

from hotpath.fanout.service import FanoutService
from hotpath.node.draining import (
    SECOND,
    Decision,
    Draining,
    GiveUp,
    Held,
    MoveViewer,
    SendPublishersAway,
    SendToHls,
    place,
)
from hotpath.node.programs import Programs
from hotpath.program.checkpoint import Checkpoint
from hotpath.program.states import ProgramState
from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.nodes import EVERY_S, NodePresence, ProgrammePresence
from infra.events.nodes_bus import leave, present, tell
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)

DRAINED = "the node is being drained"
ELSEWHERE = "another node has the event"
NOWHERE = "the node is being drained, and no other one has the event"
LEAVE_S = 0.5


class Neighbours:
    """Make it, `attach` it, then `run` it as a task."""

    def __init__(
        self, bus_url: str, node: str, boot: str, url: str, *, every_s: float = EVERY_S
    ) -> None:
        """`url`: of this node alone, as viewers reach it; empty: it has none."""
        self._bus_url = bus_url
        self._node = node
        self._url = url
        self._every_s = every_s
        self._draining = Draining(boot)
        self._others: Sequence[NodePresence] = ()
        self._programs: Programs | None = None
        self._fanout: FanoutService | None = None

    def attach(self, programs: Programs, fanout: FanoutService) -> None:
        """Once, before `run`."""
        self._programs, self._fanout = programs, fanout

    def draining(self) -> str | None:
        """Why nobody should be led to this node; a readiness check."""
        return DRAINED if self._draining.drains else None

    def url_of(self, key: ProgramKey) -> str | None:
        """Base URL of the node where viewers of a programme can go on; None: there is none."""
        found = place(str(key), self._others)
        return None if found is None else found.url

    def checkpoint_of(self, key: ProgramKey) -> Checkpoint | None:
        """From where this node may go on with a programme that has left another one."""
        for one in self._others:
            for each in one.programmes:
                leaves = not each.live or one.publishers_move
                if each.key == str(key) and leaves and each.checkpoint is not None:
                    with suppress(ValidationError):
                        return Checkpoint.model_validate(each.checkpoint)
        return None

    async def run(self) -> None:
        """Until it is cancelled."""
        client = connect(self._bus_url)
        try:
            while True:
                try:
                    wish = await tell(client, self._presence())
                    self._draining.receive_wish(wish, time.monotonic_ns())
                    self._obey()
                    nodes = await present(client)
                    self._others = [one for one in nodes if one.node != self._node]
                    self._look()
                except BusUnavailable as error:
                    self._others = ()
                    log.debug("other nodes are not heard of", problem=str(error))
                except Exception:
                    log.exception("a look at other nodes brought out a bug; programmes go on")
                await asyncio.sleep(self._every_s)
        finally:
            with suppress(BusUnavailable, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await leave(client, self._node)
            await client.aclose()

    def _parts(self) -> tuple[Programs, FanoutService]:
        if self._programs is None or self._fanout is None:
            raise RuntimeError("neighbours are not attached")
        return self._programs, self._fanout

    def _presence(self) -> NodePresence:
        programs, fanout = self._parts()
        return NodePresence(
            node=self._node,
            boot=self._draining.boot,
            url=self._url,
            draining=self._draining.drains,
            publishers_move=self._draining.moves_publishers,
            publishers=programs.publishers(),
            viewers=len(fanout.sessions),
            programmes=tuple(
                ProgrammePresence(
                    key=str(entry.key),
                    live=entry.program.state is ProgramState.LIVE,
                    since_ms=int(entry.incarnation.name, 36),
                    checkpoint=entry.incarnation.checkpoint.model_dump(mode="json"),
                )
                for entry in programs.on_air()
                if entry.incarnation is not None
            ),
        )

    def _obey(self) -> None:
        """Take nobody any more, or take everybody again."""
        programs, fanout = self._parts()
        drains, moves = self._draining.drains, self._draining.moves_publishers
        if (programs.draining, programs.publishers_move) == (drains, moves):
            return
        log.info("what is wanted of the node has changed", drain=drains, publishers_move=moves)
        programs.draining, programs.publishers_move = drains, moves
        fanout.take(not drains)

    def _look(self) -> None:
        decided = self._draining.poll(self._held(), self._others, time.monotonic_ns())
        for one in decided:
            self._carry_out(one)

    def _held(self) -> list[Held]:
        programs, fanout = self._parts()
        sessions: defaultdict[ProgramKey, list[str]] = defaultdict(list)
        for session in fanout.sessions.values():
            sessions[session.feed.key].append(session.id)
        return [
            Held(
                str(e.key),
                e.program.state is ProgramState.LIVE,
                sessions[e.key],
                e.program.options.reconnect_window_s * SECOND,
            )
            for e in programs.on_air()
            if e.incarnation is not None and not e.program.over
        ]

    def _carry_out(self, decided: Decision) -> None:
        programs, fanout = self._parts()
        reason = DRAINED if self._draining.drains else ELSEWHERE
        match decided:
            case MoveViewer(session=session, url=url):
                fanout.move(session, url, reason)
            case SendToHls(session=session):
                fanout.fall_back(session, "draining", NOWHERE)
            case SendPublishersAway():
                programs.send_publishers_away(DRAINED)
            case GiveUp(key=key):
                programs.give_up(ProgramKey(*key.split("/")))
