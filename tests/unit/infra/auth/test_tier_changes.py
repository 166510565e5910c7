"""Which tokens a changed tier means."""

import pytest

from infra.auth.policy import Tier
from infra.auth.tier_changes import TierChange, TierChanges
from infra.auth.tokens import ViewerClaims

NOW = 1_900_000_000


def claims(subject: str = "ada", issued: int = NOW) -> ViewerClaims:
    return ViewerClaims("acme", "ev_1", "/live/acme/ev_1", subject, issued, issued + 60, "tk_1")


UP = TierChange("ada", Tier.INTERACTIVE, None, NOW)
DOWN = TierChange("ada", Tier.BROADCAST, "480p", NOW + 1)


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ([], claims(), None),
        ([UP], claims(), UP),
        ([UP], claims(issued=NOW - 9), UP),
        ([UP], claims(issued=NOW + 1), None),
        ([UP], claims("bob"), None),
        ([UP, DOWN], claims(), DOWN),
        ([UP, DOWN], claims(issued=NOW + 1), DOWN),
    ],
)
def test_what_is_meant(
    changes: list[TierChange], given: ViewerClaims, expected: TierChange | None
) -> None:
    assert TierChanges.of(changes).change_of(given) == expected


def test_what_is_issued_or_changed_later_counts_within_the_same_second() -> None:
    changes = TierChanges.of([UP])
    again = changes.issued_after("ada", NOW)
    assert changes.change_of(claims(issued=again)) is None
    later = TierChanges.of([UP, TierChange("ada", Tier.STANDARD, None, again)])
    assert later.change_of(claims(issued=again)) is not None
    assert changes.issued_after("bob", NOW) == NOW
