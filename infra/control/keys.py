"""What the API does with API keys. Nothing here commits.

Invariant: no key gets, by making, rotating or revoking another, what it did not have: neither more
scopes, nor more projects, nor more time. A key that is not its project's, or opens a whole
organisation or the installation where the caller does not, is not there.
"""

from collections.abc import Sequence

from sqlalchemy import false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.apikeys import hash_api_key, new_api_key
from infra.auth.scopes import within
from infra.control.callers import Caller
from infra.control.ids import new_id
from infra.control.key_schemas import KeyCreate
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, Invalid, NotFound, Outranked
from infra.control.schemas import to_ms
from infra.db.control import ApiKey
from infra.keys import is_name

MAX_KEYS = 1_000
"""In a project; so that who may make keys cannot fill the database with them."""


class KeyService:
    """Keys of the caller's project, within one transaction."""

    def __init__(self, session: AsyncSession, caller: Caller, now_ms: int) -> None:
        self._session = session
        self._caller = caller
        self._now_ms = now_ms

    async def create(self, wanted: KeyCreate) -> tuple[ApiKey, str]:
        """The key and its secret, which is kept nowhere."""
        caller = self._caller
        missing = [scope for scope in wanted.scopes if not within([scope], caller.scopes)]
        if missing:
            raise Outranked(
                f"the key that asks lacks the scopes {', '.join(missing)}",
                "Leave them out, or ask with a key that has them.",
            )
        if wanted.organisation_wide and not caller.organisation_wide:
            raise Outranked(
                "the key that asks opens one project only",
                "Leave organisation_wide out, or ask with a key of the whole organisation.",
            )
        if wanted.installation_wide and not caller.installation_wide:
            raise Outranked(
                "the key that asks opens one organisation only",
                "Leave installation_wide out, or ask with a key of the whole installation.",
            )
        await self._require_room()
        secret = new_api_key()
        key = ApiKey(
            id=new_id("key_"),
            project=caller.project,
            hash=hash_api_key(secret),
            name=wanted.name,
            scopes=[scope.value for scope in wanted.scopes],
            organisation_wide=wanted.organisation_wide or wanted.installation_wide,
            installation_wide=wanted.installation_wide,
            made_by=caller.key,
            expires_ms=self._expiry(to_ms(wanted.expires_at)),
            created_ms=self._now_ms,
        )
        self._session.add(key)
        await self._session.flush()
        return key, secret

    async def _require_room(self) -> None:
        """Keys that were revoked take none."""
        mine = ApiKey.project == self._caller.project
        query = select(func.count()).where(mine, ApiKey.revoked_ms.is_(None))
        if (await self._session.scalar(query) or 0) >= MAX_KEYS:
            raise Conflict(
                f"the project has {MAX_KEYS} keys already", "Revoke those that nobody uses."
            )

    def _expiry(self, wanted_ms: int | None) -> int | None:
        own = self._caller.expires_ms
        if wanted_ms is None:
            return own
        if wanted_ms <= self._now_ms:
            raise Invalid("expires_at is not in the future", "Choose a later time.")
        if own is not None and wanted_ms > own:
            raise Outranked(
                "the key that asks expires earlier",
                "Choose an earlier expires_at, or leave it out.",
            )
        return wanted_ms

    async def page(self, page: PageRequest) -> tuple[Sequence[ApiKey], str | None]:
        query = select(ApiKey).where(ApiKey.project == self._caller.project)
        if not self._caller.organisation_wide:
            query = query.where(ApiKey.organisation_wide == false())
        if not self._caller.installation_wide:
            query = query.where(ApiKey.installation_wide == false())
        return await page_of(self._session, query, ApiKey, page)

    async def get(self, key_id: str, *, for_update: bool = False) -> ApiKey:
        query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.project == self._caller.project)
        key = None
        if is_name(key_id):
            key = await self._session.scalar(query.with_for_update() if for_update else query)
        if key is None or not self._caller.reaches(key):
            raise NotFound(
                f"there is no key {key_id[:80]!r} in this project",
                "List the project's keys with GET /v1/keys.",
            )
        return key

    async def revoke(self, key_id: str) -> ApiKey:
        key = await self._within_rights(key_id)
        if key.revoked_ms is None:
            key.revoked_ms = self._now_ms
        return key

    async def rotate(self, key_id: str, grace_s: int) -> tuple[ApiKey, str]:
        key = await self._within_rights(key_id)
        expired = key.expires_ms is not None and self._now_ms >= key.expires_ms
        if expired or key.revoked_ms is not None:
            raise Conflict(
                f"key {key_id} {'has expired' if expired else 'is revoked'}",
                "Make another: POST /v1/keys.",
            )
        secret = new_api_key()
        key.previous_hash = key.hash
        key.previous_until_ms = self._now_ms + grace_s * 1000
        key.hash = hash_api_key(secret)
        await self._session.flush()
        return key, secret

    async def _within_rights(self, key_id: str) -> ApiKey:
        key = await self.get(key_id, for_update=True)
        if not self._caller.outranks(key):
            raise Outranked(
                f"key {key_id} may do more, or for longer, than the key that asks",
                "Ask with a key that has all of its scopes and does not expire before it.",
            )
        return key
