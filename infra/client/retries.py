"""When a request is sent again: a schedule without a clock or chance of its own.

Invariant: what may have been carried out is repeated only if that changes nothing, and never so
late that the call would take longer than `total_s`.
"""

from dataclasses import dataclass
from enum import Enum, auto

REFUSED_FOR_NOW = frozenset({429, 503})
"""Nothing was done."""
LOST_ON_THE_WAY = frozenset({502, 504})
"""A proxy got no answer; the request may have been carried out."""


class Outcome(Enum):
    """How an attempt failed."""

    NOT_SENT = auto()
    REFUSED = auto()
    """Not now; nothing was done."""
    UNKNOWN = auto()
    """It may have been carried out."""
    FINAL = auto()


def outcome_of(status: int) -> Outcome:
    if status in REFUSED_FOR_NOW:
        return Outcome.REFUSED
    return Outcome.UNKNOWN if status in LOST_ON_THE_WAY else Outcome.FINAL


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long a call is tried."""

    attempts: int = 5
    first_s: float = 0.2
    """The first pause, at most; each later one may be twice as long."""
    longest_s: float = 8.0
    total_s: float = 60.0
    """Of a call, pauses and attempts together."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.first_s, self.longest_s, self.total_s) <= 0:
            raise ValueError("a call has at least one attempt, and times are more than 0")

    def pause_s(
        self,
        failed: int,
        outcome: Outcome,
        *,
        repeatable: bool,
        spent_s: float,
        chance: float,
        retry_after_s: float | None = None,
    ) -> float | None:
        """The pause after `failed` attempts; None: give up. `chance` lies in 0 to 1."""
        if outcome is Outcome.FINAL or failed >= self.attempts:
            return None
        if outcome is Outcome.UNKNOWN and not repeatable:
            return None
        # All of the pause is left to chance, so that clients that fell together spread.
        longest = min(self.longest_s, self.first_s * 2 ** min(failed - 1, 30))
        at_least, spread = (0, longest) if retry_after_s is None else (retry_after_s, self.first_s)
        pause = at_least + spread * chance
        return pause if spent_s + pause < self.total_s else None
