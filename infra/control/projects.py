"""What the API does with projects. Nothing here commits.

A key of the whole organisation sees the organisation's projects, every other key its own. Media
nodes learn of a new project, its secret included, as of every change that is owed to the bus.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.bootstrap import create_project
from infra.control.callers import Caller
from infra.control.ids import new_id
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, NotFound, Outranked
from infra.db.control import Project
from infra.keys import is_name

MAX_PROJECTS = 1_000


async def change_project(session: AsyncSession, project: str) -> None:
    """What nodes know of the project changes; nobody else changes it until the transaction ends."""
    query = select(Project).where(Project.id == project).with_for_update()
    (await session.scalars(query)).one().revision += 1


class ProjectService:
    """Projects that the caller sees, within one transaction."""

    def __init__(self, session: AsyncSession, caller: Caller, now_ms: int) -> None:
        self._session = session
        self._caller = caller
        self._now_ms = now_ms

    async def create(self, name: str) -> Project:
        caller = self._caller
        if not caller.organisation_wide:
            raise Outranked(
                "the key opens one project only",
                "Ask with a key of the whole organisation.",
            )
        mine = Project.organisation == caller.organisation
        if (await self._session.scalar(select(func.count()).where(mine)) or 0) >= MAX_PROJECTS:
            raise Conflict(
                f"the organisation has {MAX_PROJECTS} projects already", "Use one of them."
            )
        return await self._session.run_sync(
            lambda session: create_project(
                session, new_id("prj_"), name, self._now_ms, caller.organisation
            )
        )

    async def page(self, page: PageRequest) -> tuple[Sequence[Project], str | None]:
        query = select(Project).where(Project.organisation == self._caller.organisation)
        if not self._caller.organisation_wide:
            query = query.where(Project.id == self._caller.project)
        return await page_of(self._session, query, Project, page)

    async def get(self, project_id: str) -> Project:
        caller = self._caller
        project = await self._session.get(Project, project_id) if is_name(project_id) else None
        hidden = project is None or project.organisation != caller.organisation
        if (
            project is None
            or hidden
            or not (caller.organisation_wide or project.id == caller.project)
        ):
            raise NotFound(
                f"there is no project {project_id[:80]!r} that this key opens",
                "List them with GET /v1/projects.",
            )
        return project

    async def rename(self, project_id: str, name: str) -> Project:
        project = await self.get(project_id)
        project.name = name
        return project
