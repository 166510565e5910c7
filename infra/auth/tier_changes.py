"""Tiers that were changed while their viewers watch.

Pure. A change is for all that a subject had been issued until a moment; what is issued later speaks
for itself. Upstream: `infra.events.desired` and control's database. Downstream: whoever admits
viewers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.auth.policy import Tier
from infra.auth.tokens import ViewerClaims


@dataclass(frozen=True, slots=True)
class TierChange:
    subject: str
    tier: Tier
    cap: str | None
    """Takes the place of the token's."""
    until: int
    """Unix seconds: tokens issued later are not meant."""


@dataclass(frozen=True, slots=True)
class TierChanges:
    """All changes of one event, ready to be asked."""

    subjects: Mapping[str, TierChange] = field(default_factory=dict)

    @classmethod
    def of(cls, changes: Iterable[TierChange]) -> "TierChanges":
        """Of several for one subject the last one counts."""
        return cls({change.subject: change for change in changes})

    def change_of(self, claims: ViewerClaims) -> TierChange | None:
        """What takes the place of the token's own tier and cap."""
        change = self.subjects.get(claims.subject)
        return change if change is not None and claims.issued_at <= change.until else None

    def issued_after(self, subject: str, now: int) -> int:
        """`issued_at` of a new token for `subject` that no change of before covers; as well the
        moment of a new change, so that it covers what was issued since the last."""
        change = self.subjects.get(subject)
        return now if change is None else max(now, change.until + 1)
