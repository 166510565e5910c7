"""Who calls: from the secret in a header to a key, and from a key to what it opens.

Invariant: a key opens its own project; one of the whole organisation opens any project of it. What
a key may do never depends on anything but its row. Upstream: `infra.control.dependencies`.
"""

from dataclasses import dataclass

from sqlalchemy import BindParameter, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.scopes import Scope, allows, within
from infra.control.problems import NotThisProject, Unauthorized
from infra.control.schemas import required_at
from infra.db.control import ApiKey, Project
from infra.keys import is_name

_DIGEST: BindParameter[str] = bindparam("digest")
# Of every request, so built once.
_KEY = (
    select(ApiKey, Project.organisation)
    .join(Project, Project.id == ApiKey.project)
    .where(or_(ApiKey.hash == _DIGEST, ApiKey.previous_hash == _DIGEST))
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A key, the project that it acts in, and what it may do there."""

    key: str
    """Its id."""
    digest: str
    """Of the secret that it came with; a rotated key has another beside it."""
    organisation: str
    project: str
    scopes: frozenset[str]
    organisation_wide: bool
    installation_wide: bool
    """May see all organisations and make more; it opens the projects of its own alone."""
    expires_ms: int | None

    @property
    def may_publish(self) -> bool:
        """Whether events show their stream keys."""
        return any(allows(self.scopes, scope) for scope in (Scope.INGEST_READ, Scope.EVENTS_WRITE))

    def outranks(self, key: ApiKey) -> bool:
        """Whether `key` may do nothing that this caller may not, and for no longer."""
        ends_first = self.expires_ms is None or (
            key.expires_ms is not None and key.expires_ms <= self.expires_ms
        )
        return ends_first and self.reaches(key) and within(key.scopes, self.scopes)

    def reaches(self, key: ApiKey) -> bool:
        """Whether `key` opens nothing that this caller does not open."""
        within_organisation = self.organisation_wide or not key.organisation_wide
        return within_organisation and (self.installation_wide or not key.installation_wide)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key with whose it is."""

    key: ApiKey
    digest: str
    """Of the secret that it was found by."""
    organisation: str

    def require_valid(self, now_ms: int) -> None:
        """Refuse a key that was revoked or has expired."""
        expires_ms = self.key.expires_ms
        if self.key.revoked_ms is not None:
            raise Unauthorized("the API key is revoked", "Make another: POST /v1/keys.")
        if expires_ms is not None and now_ms >= expires_ms:
            raise Unauthorized(
                f"the API key expired at {required_at(expires_ms):%Y-%m-%dT%H:%M:%SZ}",
                "Make another: POST /v1/keys.",
            )


class UnknownKey(Unauthorized):
    """No key has this secret, nor had it before a rotation."""

    def __init__(self) -> None:
        super().__init__("the API key is not known", "Check the key; it may have been replaced.")


async def found_key(session: AsyncSession, digest: str, now_ms: int) -> FoundKey:
    """The key whose secret has this digest, whether or not it opens anything now."""
    row = (await session.execute(_KEY, {"digest": digest})).first()
    if row is None:
        raise UnknownKey()
    key: ApiKey = row[0]
    if key.hash != digest and now_ms >= (key.previous_until_ms or 0):
        raise Unauthorized(
            "the API key has been replaced", "Use the secret that its rotation answered with."
        )
    return FoundKey(key, digest, row[1])


async def opened(session: AsyncSession, found: FoundKey, wanted: str | None) -> Caller:
    """What the key opens, in the project that the request names."""
    key, project = found.key, found.key.project if wanted is None else wanted
    if project != key.project:
        query = select(Project.organisation).where(Project.id == project)
        within_reach = key.organisation_wide and is_name(project)
        if not within_reach or await session.scalar(query) != found.organisation:
            raise NotThisProject()
    return Caller(
        key=key.id,
        digest=found.digest,
        organisation=found.organisation,
        project=project,
        scopes=frozenset(key.scopes),
        organisation_wide=key.organisation_wide,
        installation_wide=key.installation_wide,
        expires_ms=key.expires_ms,
    )
