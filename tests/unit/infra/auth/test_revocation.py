"""Which tokens a revocation means, and which were issued after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.auth.revocation import Revocation, Revoked
from infra.auth.tokens import ViewerClaims

NOW = 1_900_000_000


def claims(subject: str = "ada", issued: int = NOW, token: str = "tk_1") -> ViewerClaims:
    return ViewerClaims("acme", "ev_1", "/live/acme/ev_1", subject, issued, issued + 60, token)


@pytest.mark.parametrize(
    ("revocation", "meant", "not_meant"),
    [
        (Revocation("tk_1", None, NOW), claims(), claims(token="tk_2")),
        (Revocation("tk_1", None, 0), claims(issued=NOW + 9), claims("ada", 0, "tk_2")),
        (Revocation(None, "ada", NOW), claims(issued=NOW), claims(issued=NOW + 1)),
        (Revocation(None, "ada", NOW), claims(issued=0), claims("bob", 0)),
        (Revocation(None, None, NOW), claims("bob", NOW), claims("bob", NOW + 1)),
    ],
)
def test_what_is_meant(
    revocation: Revocation, meant: ViewerClaims, not_meant: ViewerClaims
) -> None:
    revoked = Revoked.of([revocation])
    assert revoked.covers(meant)
    assert not revoked.covers(not_meant)


def test_nothing_is_revoked_at_first() -> None:
    assert not Revoked.of([]).covers(claims(issued=0))


@given(st.lists(st.tuples(st.sampled_from(["ada", "bob", None]), st.booleans()), max_size=12))
def test_within_one_second_what_comes_later_counts(steps: list[tuple[str | None, bool]]) -> None:
    """True: a token for the subject (or Eve) is issued; False: it, or everybody's, is revoked."""
    revocations: list[Revocation] = []
    live: dict[str, list[ViewerClaims]] = {"ada": [], "bob": [], "eve": []}
    dead: list[ViewerClaims] = []
    for number, (subject, issues) in enumerate(steps):
        revoked = Revoked.of(revocations)
        if issues:
            name = subject or "eve"
            made = claims(name, revoked.issued_after(name, NOW), f"tk_{number}")
            live[name].append(made)
        else:
            revocations.append(Revocation(None, subject, revoked.until(subject, NOW)))
            for name in live if subject is None else (subject,):
                dead += live[name]
                live[name] = []
        revoked = Revoked.of(revocations)
        assert all(revoked.covers(each) for each in dead)
        assert not any(revoked.covers(each) for mine in live.values() for each in mine)
