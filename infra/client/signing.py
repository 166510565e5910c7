"""`client.signing_keys`: the keys that viewer tokens of the project are signed with."""

from infra.client.calls import Call
from infra.client.groups import Group, W, operation
from infra.client.models import Nothing, SigningKey, SigningKeys

KEYS, KEY = "/v1/signing-keys", "/v1/signing-keys/{signing_key}"


class SigningKeyGroup(Group[W]):
    """Signing keys; at most ten, so lists have no pages."""

    @operation
    def create(
        self, *, at_once: bool = False, idempotency_key: str | None = None
    ) -> Call[SigningKey]:
        """Make the next key; `at_once`: it signs now, whoever has not learnt of it yet."""
        return Call("POST", KEYS, SigningKey, body={"at_once": at_once}, key=idempotency_key)

    @operation
    def all(self) -> Call[SigningKeys]:
        """Those of the project, the newest first."""
        return Call("GET", KEYS, SigningKeys)

    @operation
    def retire(self, signing_key: str) -> Call[Nothing]:
        """Tokens that it has signed open nothing any more."""
        return Call("DELETE", KEY, Nothing, {"signing_key": signing_key})
