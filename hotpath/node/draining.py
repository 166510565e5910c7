"""Where the viewers of this node shall go, and when: decided once a second.

Invariant: a viewer is asked to go only while another node has its programme live, and no more than
`PER_S` of them a second, so that they do not all come there at once. From `hls_after_s` after a
drain began on, who has nowhere to go, or did not go, is sent to LL-HLS: no session stays. What is
live here stays here unless the node is being drained; what has no publisher here and one elsewhere
belongs there.

Pure: `now` is an argument, ns. Upstream: `hotpath.node.neighbours`, which also carries out what is
decided here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from infra.events.nodes import NodePresence, NodeWish

SECOND = 1_000_000_000
PER_S = 50
"""Viewers who are asked to go; a quarter of the joins that a node takes (`joins_per_s`)."""
AGAIN_NS = 20 * SECOND
"""Whoever stays is asked again after this: the other node may have been full."""
ANNOUNCED_NS = 2 * SECOND
"""Other nodes have heard by then that publishers of this one will come to them."""
GIVE_UP_NS = 15 * SECOND
"""Viewers who have not followed their programme by then are let go with it."""
ALONE_NS = 5 * SECOND
"""Its publisher may come back to a programme without viewers for so long."""


@dataclass(frozen=True, slots=True)
class Held:
    """A programme of this node that has been on the air."""

    key: str
    live: bool
    """It has a publisher here."""
    sessions: Sequence[str] = ()
    """Its WebRTC viewers."""
    window_ns: int = 60 * SECOND
    """After so long without a publisher it would end, and the event with it."""


@dataclass(frozen=True, slots=True)
class MoveViewer:
    """Ask a viewer to go on at another node."""

    session: str
    url: str
    """Base URL of that node."""


@dataclass(frozen=True, slots=True)
class SendToHls:
    """There is no other node for this viewer, or it did not go there."""

    session: str


@dataclass(frozen=True, slots=True)
class SendPublishersAway:
    """Their encoders shall come to another node."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Another node has the programme: forget it, without ending it."""

    key: str


Decision: TypeAlias = MoveViewer | SendToHls | SendPublishersAway | GiveUp


@dataclass(slots=True)
class Draining:
    """See the module for the invariant."""

    boot: str
    wish: NodeWish | None = None
    """What holds for this life of the node; None: nobody ever wanted anything."""
    _since: int = 0
    _asked: dict[str, int] = field(default_factory=dict)
    """Session -> when it was asked last."""
    _elsewhere: dict[str, int] = field(default_factory=dict)
    """Programmes without a publisher here that another node has live -> since when."""

    @property
    def drains(self) -> bool:
        return self.wish is not None and self.wish.drain

    @property
    def moves_publishers(self) -> bool:
        return self.drains and self.wish is not None and self.wish.publishers == "move"

    def receive_wish(self, wish: NodeWish | None, now: int) -> None:
        """What the bus holds for this node; of another life, or nothing, changes nothing."""
        if wish is None or wish.boot != self.boot or wish == self.wish:
            return
        if not (self.drains and wish.drain):
            self._since = now
            self._asked.clear()
        self.wish = wish

    def poll(
        self, held: Sequence[Held], others: Sequence[NodePresence], now: int
    ) -> list[Decision]:
        """What is to be done now, within the second until the next call."""
        decided: list[Decision] = []
        if self.moves_publishers and now - self._since >= ANNOUNCED_NS:
            decided.append(SendPublishersAway())
        places = {one.key: place(one.key, others) for one in held}
        decided += list(self._viewers(held, places, now))[:PER_S]
        for one in decided:
            if isinstance(one, MoveViewer):
                self._asked[one.session] = now
        decided += self._given_up(held, others, now)
        return decided

    def _viewers(
        self, held: Sequence[Held], places: Mapping[str, NodePresence | None], now: int
    ) -> Iterator[MoveViewer | SendToHls]:
        there = {session for one in held for session in one.sessions}
        self._asked = {session: at for session, at in self._asked.items() if session in there}
        for one in held:
            if one.live and not self.drains:
                continue
            for session in one.sessions:
                step = self._step(session, places[one.key], now)
                if step is not None:
                    yield step

    def _step(
        self, session: str, to: NodePresence | None, now: int
    ) -> MoveViewer | SendToHls | None:
        asked = self._asked.get(session)
        if to is not None and (asked is None or not self._late(now)):
            due = asked is None or now - asked >= AGAIN_NS
            return MoveViewer(session, to.url) if due else None
        waits = asked is not None and now - asked < AGAIN_NS
        return SendToHls(session) if self._late(now) and not waits else None

    def _late(self, now: int) -> bool:
        """Whether those who are still there go on by LL-HLS."""
        wish = self.wish
        return wish is not None and wish.drain and now - self._since >= wish.hls_after_s * SECOND

    def _given_up(
        self, held: Sequence[Held], others: Sequence[NodePresence], now: int
    ) -> Iterator[GiveUp]:
        # Also where no viewer can be led there: who ends it here ends it everywhere.
        gone = [h for h in held if not h.live and any(one.carries(h.key) for one in others)]
        self._elsewhere = {one.key: self._elsewhere.get(one.key, now) for one in gone}
        for one in gone:
            patience_ns = min(GIVE_UP_NS if one.sessions else ALONE_NS, one.window_ns // 2)
            if now - self._elsewhere[one.key] >= patience_ns:
                yield GiveUp(one.key)


def place(key: str, others: Sequence[NodePresence]) -> NodePresence | None:
    """The node that has the programme live, takes viewers and has the fewest of them."""
    found = [one for one in others if one.url and not one.draining and one.carries(key)]
    return min(found, key=lambda one: (one.viewers, one.node), default=None)
