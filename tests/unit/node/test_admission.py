"""Who may watch, from the desired state."""

from hotpath.node.admission import keys_of, revoked, tier_changes
from infra.auth.policy import Tier
from infra.auth.signing import new_private, public_key, public_of
from infra.auth.tier_changes import TierChange, TierChanges
from infra.auth.tokens import ViewerClaims
from infra.events.desired import DesiredProject, DesiredRevocation, DesiredTier
from infra.events.desired_state import DesiredSnapshot
from tests.support.medianode import event


def test_tokens_that_were_called_back_are_told_by_event() -> None:
    one = event(
        id="ev_one",
        revocations=(
            DesiredRevocation(token="tk_1", until=0),
            DesiredRevocation(subject="ada", until=100),
        ),
    )
    other = event(id="ev_other")
    found = revoked(DesiredSnapshot(epoch="e", events={"ev_one": one, "ev_other": other}))
    assert found.keys() == {"ev_one"}

    def covers(subject: str, issued: int, token: str) -> bool:
        claims = ViewerClaims("p", "ev_one", "/live/p/ev_one", subject, issued, 900, token)
        return found["ev_one"].covers(claims)

    assert covers("bob", 500, "tk_1")
    assert covers("ada", 100, "tk_2")
    assert not covers("ada", 101, "tk_2")
    assert not covers("bob", 100, "tk_2")


def test_changed_tiers_are_told_by_event_and_unknown_ones_change_nothing() -> None:
    one = event(
        id="ev_one",
        tiers=(
            DesiredTier(subject="ada", tier="broadcast", cap="480p", until=100),
            DesiredTier(subject="bob", tier="of-a-later-release", until=100),
            DesiredTier(subject="eve", tier="standard", cap="8k", until=100),
        ),
    )
    other = event(id="ev_other")
    found = tier_changes(DesiredSnapshot(epoch="e", events={"ev_one": one, "ev_other": other}))
    ada = TierChange("ada", Tier.BROADCAST, "480p", 100)
    assert found == {"ev_one": TierChanges({"ada": ada})}


def test_keys_of_both_kinds_are_read_and_what_cannot_be_read_opens_nothing() -> None:
    public = public_of(new_private())
    project = DesiredProject(
        id="acme",
        secrets={"k1": "c2VjcmV0", "k2": "no base64!"},
        public_keys={"sk_1": public, "sk_2": "rubbish"},
        revision=1,
    )
    assert keys_of(project) == {"k1": b"secret", "sk_1": public_key(public)}
