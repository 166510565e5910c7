"""Who may watch, and how, decided by a media process that can ask nobody."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from infra.auth import tokens
from infra.auth.policy import Role, Tier
from infra.auth.signing import new_private, private_key, public_of
from infra.auth.tokens import ViewerClaims
from infra.events.desired import DesiredRevocation, DesiredTier
from tests.support.medianode import PROJECT, SECRET, MediaProcess, event, key_of
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration
EDGE = "a-secret-of-the-test"
PRIVATE = new_private()
NOW = int(time.time())
WANTED = event(
    access="token",
    revocations=(DesiredRevocation(subject="eve", until=NOW),),
    tiers=(
        DesiredTier(subject="ada", tier="broadcast", cap="480p", until=NOW),
        DesiredTier(subject="bob", tier="backstage", until=NOW),
    ),
)
SIGNING = PROJECT.model_copy(update={"public_keys": {"sk_1": public_of(PRIVATE)}})


def token(subject: str, kid: str = "sk_1", **more: Any) -> str:
    given: dict[str, Any] = {"issued_at": NOW, **more}
    claims = ViewerClaims(
        project=WANTED.project,
        event=WANTED.id,
        path_prefix=f"/live/{WANTED.project}/{WANTED.id}",
        subject=subject,
        expires_at=NOW + 600,
        token_id="tk_1",
        **given,
    )
    return tokens.issue(claims, private_key(PRIVATE) if kid.startswith("sk_") else SECRET, kid)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaProcess]:
    """Without a bus, with a desired state on its disk."""
    folder = tmp_path_factory.mktemp("access")
    with MediaProcess(folder / "data", edge_secret=EDGE) as process:
        process.want(WANTED, project=SIGNING)
        yield process.start()


@pytest.mark.parametrize("signed_by", ["sk_1", "k1"])
def test_a_node_decides_by_what_it_has_on_disk(media: MediaProcess, signed_by: str) -> None:
    base = f"http://127.0.0.1:{media.http_port}/edge/check"
    headers = {"X-Livepath-Edge": EDGE, "X-Livepath-Viewer": "192.0.2.7"}
    with httpx2.Client(headers=headers, trust_env=False, verify=NO_TLS) as client:

        def ask(subject: str, kid: str = signed_by, **more: Any) -> httpx2.Response:
            return client.get(f"{base}/t/{token(subject, kid, **more)}/live/{key_of(WANTED)}")

        assert ask("carl").status_code == 204
        assert ask("carl", role=Role.BACKSTAGE, tier=Tier.BACKSTAGE).status_code == 403
        assert ask("carl", network="192.0.2.0/24").status_code == 204
        assert ask("carl", network="192.0.3.0/24").status_code == 403
        assert ask("carl", kid="sk_2").status_code == 401
        assert ask("eve").status_code == 401
        assert ask("eve", issued_at=NOW + 1).status_code == 204
        assert ask("ada").headers["X-Livepath-Cap"] == "480p"
        assert "X-Livepath-Cap" not in ask("ada", issued_at=NOW + 1).headers
        assert ask("bob").status_code == 403
        assert ask("bob", issued_at=NOW + 1).status_code == 204
