"""The states of a programme on this node, as a transition table, and what it tells the node.

Invariant: a state changes only along an edge of the table; an illegal trigger raises and changes
nothing. (The states of an event, which control keeps, are in `infra.lifecycle`.)
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from infra.errors import IllegalTransition


class ProgramState(StrEnum):
    WAITING = "waiting"
    """Nothing was ever published."""
    LIVE = "live"
    RECONNECTING = "reconnecting"
    """The publisher is gone; another may continue until the reconnect window has passed."""
    ENDED = "ended"
    """The programme is over, for good."""
    STOPPED = "stopped"
    """This node stops; another incarnation may follow."""


class Trigger(StrEnum):
    PUBLISHED = "published"
    """The first keyframe of a publisher is on the air."""
    PUBLISHER_LOST = "publisher-lost"
    WINDOW_PASSED = "window-passed"
    CLOSED = "closed"
    STOPPED = "stopped"


_S, _T = ProgramState, Trigger
TRANSITIONS: dict[tuple[ProgramState, Trigger], ProgramState] = {
    (_S.WAITING, _T.PUBLISHED): _S.LIVE,
    (_S.WAITING, _T.PUBLISHER_LOST): _S.WAITING,
    (_S.WAITING, _T.CLOSED): _S.ENDED,
    (_S.WAITING, _T.STOPPED): _S.STOPPED,
    (_S.LIVE, _T.PUBLISHED): _S.LIVE,
    (_S.LIVE, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.LIVE, _T.CLOSED): _S.ENDED,
    (_S.LIVE, _T.STOPPED): _S.STOPPED,
    (_S.RECONNECTING, _T.PUBLISHED): _S.LIVE,
    (_S.RECONNECTING, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.RECONNECTING, _T.WINDOW_PASSED): _S.ENDED,
    (_S.RECONNECTING, _T.CLOSED): _S.ENDED,
    (_S.RECONNECTING, _T.STOPPED): _S.STOPPED,
}


def advance(state: ProgramState, trigger: Trigger) -> ProgramState:
    """The state after `trigger`; raises `IllegalTransition` when the table has no such edge."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(f"a programme that is {state} does not take {trigger}") from None


@dataclass(frozen=True, slots=True)
class OpenWanted:
    """Media is waiting: make an incarnation durable, then call `Program.opened`."""

    epoch_ns: int
    """Unix ns of the programme's first keyframe."""


@dataclass(frozen=True, slots=True)
class WentLive:
    """A publisher's first keyframe is on the air."""

    publisher: int


@dataclass(frozen=True, slots=True)
class PublisherLost:
    """The programme had been live and now waits for a publisher to come back."""

    publisher: int
    reason: str


@dataclass(frozen=True, slots=True)
class DropPublisher:
    """Disconnect this publisher; the programme no longer listens to it."""

    publisher: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The programme is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class NumbersUsed:
    """The programme has come this far; whoever keeps the reservation extends it in time."""

    msn: int
    discontinuity_seq: int


@dataclass(frozen=True, slots=True)
class IngestWarning:
    """Something about the publisher's stream that its creator can mend, in words."""

    code: str
    message: str


ProgramEvent: TypeAlias = (
    OpenWanted | WentLive | PublisherLost | DropPublisher | Ended | NumbersUsed | IngestWarning
)
