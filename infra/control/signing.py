"""What the API does with keys that sign viewer tokens. Nothing here commits.

Invariant: a project that signs with EdDSA has a key that does; a key signs only once everybody who
verifies can know it, unless it is asked to sign at once; each change raises the project's revision,
so that the publisher takes the public halves to the media nodes. The private half leaves the
database with no answer.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.signing import new_private, public_of
from infra.control.ids import new_id
from infra.control.problems import Conflict, NotFound
from infra.control.projects import change_project
from infra.db.control import SigningKey

MAX_KEYS = 10
"""Of a project: one signs, one is to come, others until the last of their tokens has expired."""
JWKS_AGE_S = 300
SIGNS_AFTER_MS = 2 * JWKS_AGE_S * 1000
"""Others have asked for the keys again by then."""


class SigningKeyService:
    """Signing keys of one project, within one transaction."""

    def __init__(self, session: AsyncSession, project: str, now_ms: int) -> None:
        self._session = session
        self._project = project
        self._now_ms = now_ms

    async def signer(self) -> SigningKey:
        """The key that signs now; the first one is made when it is needed."""
        signing = self._signing(await self.all())
        return signing or await self.create(at_once=True)

    async def all(self) -> Sequence[SigningKey]:
        """The one that signs last comes first."""
        query = select(SigningKey).where(SigningKey.project == self._project)
        order = SigningKey.signs_from_ms.desc(), SigningKey.id.desc()
        return (await self._session.scalars(query.order_by(*order))).all()

    def _signing(self, keys: Sequence[SigningKey]) -> SigningKey | None:
        return next((key for key in keys if key.signs_from_ms <= self._now_ms), None)

    def signs(self, key: SigningKey, keys: Sequence[SigningKey]) -> bool:
        """Whether it is this one, of all that the project has."""
        return key is self._signing(keys)

    async def create(self, *, at_once: bool) -> SigningKey:
        await change_project(self._session, self._project)
        held = await self.all()
        if len(held) >= MAX_KEYS:
            raise Conflict(
                f"the project has {MAX_KEYS} signing keys already", "Retire those of the past."
            )
        private = new_private()
        delay_ms = 0 if at_once or not held else SIGNS_AFTER_MS
        key = SigningKey(
            id=new_id("sk_"),
            project=self._project,
            private=private,
            public=public_of(private),
            signs_from_ms=self._now_ms + delay_ms,
            created_ms=self._now_ms,
        )
        self._session.add(key)
        await self._session.flush()
        return key

    async def retire(self, key_id: str) -> None:
        """Tokens that it has signed open nothing any more."""
        held = await self.all()
        key = next((each for each in held if each.id == key_id), None)
        if key is None:
            raise NotFound(
                f"there is no signing key {key_id[:80]!r} in this project",
                "List them with GET /v1/signing-keys.",
            )
        if self.signs(key, held) and self._signing([one for one in held if one is not key]) is None:
            raise Conflict(
                f"signing key {key_id} is the one that signs",
                'Make another first: POST /v1/signing-keys {"at_once": true}.',
            )
        await change_project(self._session, self._project)
        await self._session.delete(key)
