"""Which rendition one viewer gets, from what it reports and what could not be sent to it.

Invariant: the level moves by what was seen for a while, never by one report, and one step at a
time: down the renditions, then audio only (the floor), then off, with a reason. A step up that had
to be taken back makes the next one wait twice as long. Loss that retransmission repairs (a few
percent) moves nothing.

Upstream: `hotpath.fanout.viewer`, with RTCP reports and the kernel's counters. Downstream: the same
viewer acts on the verdict. Pure: `now` is an argument, ns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

SECOND = 1_000_000_000

DOWN_AFTER = 3 * SECOND
"""Bad for so long: the next lower rendition."""
FLOOR_AFTER = 10 * SECOND
"""Bad for so long on the lowest rendition: audio only. A short outage must not cost the picture."""
OFF_AFTER = 20 * SECOND
"""Bad for so long on audio only: off."""
UP_AFTER = 8 * SECOND
UP_AFTER_MOST = 64 * SECOND
PROBATION = 10 * SECOND
"""A step up that does not hold for so long counts as failed."""

LOST_GOOD, LOST_BAD, LOST_HOPELESS = 0.04, 0.12, 0.25
"""Hopeless: what it takes to lose the last picture, which retransmission still repairs below."""
JITTER_BAD_MS = 60
RTT_BAD_MS = 1_000


class Health(NamedTuple):
    """What is known about one viewer since the last time."""

    lost: float = 0.0
    """Worst fraction of its picture lost (of its sound, where that is all) that its receiver
    reports stated, 0 to 1."""
    jitter_ms: int = 0
    rtt_ms: int = 0
    remb_bps: int | None = None
    dropped: int = 0
    """Frames that could not be sent to it in time."""
    waiting: bool = False
    """Its path takes nothing just now."""


@dataclass(frozen=True, slots=True)
class Stay:
    pass


@dataclass(frozen=True, slots=True)
class Move:
    level: int
    """Index of the rendition, best first; one past the last is audio only."""
    reason: str


@dataclass(frozen=True, slots=True)
class Off:
    reason: str


Verdict: TypeAlias = Stay | Move | Off
STAY = Stay()


class Choice:
    """One viewer's level; see the module for the invariant."""

    def __init__(self, rates_bps: Sequence[int], *, audio: bool = True) -> None:
        """`rates_bps`: of the renditions, best first. `audio`: there is audio to fall back to."""
        self.level = 0
        self._rates = tuple(rates_bps)
        self._audio = audio
        self._bad_since: int | None = None
        self._good_since: int | None = None
        self._up_after = UP_AFTER
        self._went_up: int | None = None

    @property
    def floor(self) -> int:
        """The level that is audio only."""
        return len(self._rates)

    @property
    def audio_only(self) -> bool:
        return self.level == self.floor

    def renditions(self, rates_bps: Sequence[int], level: int) -> None:
        """The renditions there are now; `level`: where the one that it has stands among them."""
        was_floor = self.audio_only and self.floor > 0
        self._rates = tuple(rates_bps)
        self.level = self.floor if was_floor else level

    def receive(self, health: Health, now: int) -> Verdict:
        """What to do now."""
        if self._bad(health):
            return self._receive_bad(health, now)
        if not self._good(health):
            # Neither: what began before has not gone on.
            self._bad_since = self._good_since = None
            return STAY
        self._bad_since = None
        self._good_since = now if self._good_since is None else self._good_since
        if self._went_up is not None and now - self._went_up >= PROBATION:
            self._went_up, self._up_after = None, UP_AFTER
        if self.level > 0 and now - self._good_since >= self._up_after and self._fits(health):
            self._good_since, self._went_up = now, now
            self.level -= 1
            return Move(self.level, "the path has recovered")
        return STAY

    def _receive_bad(self, health: Health, now: int) -> Verdict:
        self._good_since = None
        if self._bad_since is None:
            self._bad_since = now
        bad_for = now - self._bad_since
        if self.audio_only:
            return Off(f"{_words(health)}, on audio alone too") if bad_for >= OFF_AFTER else STAY
        last = self.level == self.floor - 1
        if last and not self._audio:
            return Off(_words(health)) if bad_for >= FLOOR_AFTER + OFF_AFTER else STAY
        if bad_for < (FLOOR_AFTER if last and self._went_up is None else DOWN_AFTER):
            return STAY
        if self._went_up is not None:
            self._went_up = None
            self._up_after = min(2 * self._up_after, UP_AFTER_MOST)
        self._bad_since = now
        self.level += 1
        return Move(self.level, _words(health))

    def _bad(self, health: Health) -> bool:
        limit = LOST_BAD if self.level < self.floor - 1 else LOST_HOPELESS
        if health.lost >= limit or health.dropped or health.waiting:
            return True
        if health.rtt_ms >= RTT_BAD_MS and health.lost > LOST_GOOD:
            return True
        # An estimate starts low and grows with what is sent, so alone it proves nothing.
        squeezed = health.remb_bps is not None and health.remb_bps < 0.8 * self._rate
        return squeezed and (health.lost > LOST_GOOD or health.jitter_ms >= JITTER_BAD_MS)

    def _good(self, health: Health) -> bool:
        return health.lost <= LOST_GOOD

    def _fits(self, health: Health) -> bool:
        """Whether the estimate allows one level more; one made on audio alone knows nothing."""
        if health.remb_bps is None or self.audio_only:
            return True
        return health.remb_bps >= 1.1 * self._rates[self.level - 1]

    @property
    def _rate(self) -> int:
        return 0 if self.audio_only else self._rates[self.level]


def _words(health: Health) -> str:
    if health.dropped or health.waiting:
        return "the path cannot take the rendition"
    return f"{health.lost:.0%} of the packets are lost"
