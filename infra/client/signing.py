"""`client.signing_keys` and `client.secrets`: what signs the project's viewer tokens, and what its
stream keys come from."""

from infra.client.calls import Call
from infra.client.groups import Group, W, operation
from infra.client.models import Nothing, Secret, Secrets, SigningKey, SigningKeys

KEYS, KEY = "/v1/signing-keys", "/v1/signing-keys/{signing_key}"
SECRETS, SECRET = "/v1/secrets", "/v1/secrets/{kid}"


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


class SecretGroup(Group[W]):
    """Secrets, by name alone; at most ten, so lists have no pages."""

    @operation
    def create(self, *, idempotency_key: str | None = None) -> Call[Secret]:
        """Make the next secret; new stream keys and HS256 viewer tokens come from it at once."""
        return Call("POST", SECRETS, Secret, key=idempotency_key)

    @operation
    def all(self) -> Call[Secrets]:
        """Those of the project; the first one signs."""
        return Call("GET", SECRETS, Secrets)

    @operation
    def retire(self, kid: str) -> Call[Nothing]:
        """What it signed opens nothing any more. Raises Conflict for the one that signs, and while
        the stream key of an event that is not over comes from it."""
        return Call("DELETE", SECRET, Nothing, {"kid": kid})
