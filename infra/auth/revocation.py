"""Viewer tokens that were called back before they expired.

Pure. A revocation names one token, or all that a subject, or everybody, had been issued until a
moment. Upstream: `infra.events.desired` and control's database. Downstream: whoever admits viewers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.auth.tokens import ViewerClaims


@dataclass(frozen=True, slots=True)
class Revocation:
    """One of `token` and `subject`, or neither: everybody."""

    token: str | None
    """Id of a token (`jti`)."""
    subject: str | None
    until: int
    """Unix seconds: tokens issued later are not meant. Of no account for a single token."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """All revocations of one event, ready to be asked."""

    tokens: frozenset[str] = frozenset()
    subjects: Mapping[str, int] = field(default_factory=dict)
    everybody: int = -1

    @classmethod
    def of(cls, revocations: Iterable[Revocation]) -> "Revoked":
        tokens, subjects, everybody = set(), dict[str, int](), -1
        for each in revocations:
            if each.token is not None:
                tokens.add(each.token)
            elif each.subject is not None:
                subjects[each.subject] = max(each.until, subjects.get(each.subject, -1))
            else:
                everybody = max(each.until, everybody)
        return cls(frozenset(tokens), subjects, everybody)

    def covers(self, claims: ViewerClaims) -> bool:
        """Whether this token opens nothing any more."""
        return (
            claims.token_id in self.tokens
            or claims.issued_at <= self.everybody
            or claims.issued_at <= self.subjects.get(claims.subject, -1)
        )

    def issued_after(self, subject: str, now: int) -> int:
        """`issued_at` of a new token for `subject` that no revocation of before covers."""
        return max(now, self.everybody + 1, self.subjects.get(subject, -1) + 1)

    def until(self, subject: str | None, now: int) -> int:
        """Of a new revocation, so that it covers whatever was issued; None: to everybody."""
        if subject is not None:
            return self.issued_after(subject, now)
        return max([now, self.everybody + 1, *(until + 1 for until in self.subjects.values())])
