"""What the API does with organisations. Nothing here commits.

Invariant: a key of one project sees no organisation, one of a whole organisation sees its own, and
one of the whole installation sees all of them and may make more. Seeing an organisation opens none
of its projects: what is in them stays with the organisation's own keys.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.apikeys import hash_api_key, new_api_key
from infra.auth.scopes import Scope
from infra.control.bootstrap import create_project
from infra.control.callers import Caller
from infra.control.ids import new_id
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, NotFound, Outranked
from infra.db.control import ApiKey, Organisation, Project
from infra.keys import is_name

MAX_ORGANISATIONS = 10_000
FIRST_KEY = "first key"


class OrganisationService:
    """Organisations that the caller sees, within one transaction."""

    def __init__(self, session: AsyncSession, caller: Caller, now_ms: int) -> None:
        self._session = session
        self._caller = caller
        self._now_ms = now_ms

    async def create(
        self, name: str, project_name: str | None
    ) -> tuple[Organisation, Project, ApiKey, str]:
        """An organisation, its first project, and a key to all of it with its secret."""
        if not self._caller.installation_wide:
            raise Outranked(
                "the key opens one organisation only",
                "Ask with a key of the whole installation.",
            )
        count = await self._session.scalar(select(func.count()).select_from(Organisation))
        if (count or 0) >= MAX_ORGANISATIONS:
            raise Conflict(
                f"there are {MAX_ORGANISATIONS} organisations already", "Use one of them."
            )
        made = Organisation(id=new_id("org_"), name=name, created_ms=self._now_ms)
        self._session.add(made)
        await self._session.flush()
        project = await self._session.run_sync(
            lambda session: create_project(
                session, new_id("prj_"), project_name or name, self._now_ms, made.id
            )
        )
        key, secret = await self._first_key(project)
        return made, project, key, secret

    async def _first_key(self, project: Project) -> tuple[ApiKey, str]:
        secret = new_api_key()
        key = ApiKey(
            id=new_id("key_"),
            project=project.id,
            hash=hash_api_key(secret),
            name=FIRST_KEY,
            scopes=[Scope.ALL.value],
            organisation_wide=True,
            installation_wide=False,
            made_by=self._caller.key,
            created_ms=self._now_ms,
        )
        self._session.add(key)
        await self._session.flush()
        return key, secret

    async def page(self, page: PageRequest) -> tuple[Sequence[Organisation], str | None]:
        query = select(Organisation).where(self._seen())
        return await page_of(self._session, query, Organisation, page)

    async def get(self, organisation_id: str) -> Organisation:
        query = select(Organisation).where(Organisation.id == organisation_id, self._seen())
        found = await self._session.scalar(query) if is_name(organisation_id) else None
        if found is None:
            raise NotFound(
                f"there is no organisation {organisation_id[:80]!r} that this key opens",
                "List them with GET /v1/organisations.",
            )
        return found

    async def rename(self, organisation_id: str, name: str) -> Organisation:
        organisation = await self.get(organisation_id)
        organisation.name = name
        return organisation

    async def projects(
        self, organisation_id: str, page: PageRequest
    ) -> tuple[Sequence[Project], str | None]:
        organisation = await self.get(organisation_id)
        query = select(Project).where(Project.organisation == organisation.id)
        return await page_of(self._session, query, Project, page)

    def _seen(self) -> ColumnElement[bool]:
        caller = self._caller
        if caller.installation_wide:
            return true()
        mine = Organisation.id == caller.organisation
        return mine if caller.organisation_wide else false()
