"""`/v1/projects`: the projects of an organisation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.dependencies import Context, Page, Session, TheCaller
from infra.control.idempotency import AnswersOnce
from infra.control.project_schemas import (
    ProjectCreate,
    ProjectOut,
    ProjectPage,
    ProjectPatch,
    project_out,
)
from infra.control.projects import ProjectService

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=AnswersOnce)

PathProject = Annotated[str, Path(description="Id of the project.", examples=["default"])]


async def _service(session: Session, caller: TheCaller, context: Context) -> ProjectService:
    return ProjectService(session, caller, context.now_ms())


Projects = Annotated[ProjectService, Depends(_service)]


@router.post("", status_code=201, summary="Make a project")
async def create_project(
    wanted: ProjectCreate, response: Response, projects: Projects
) -> ProjectOut:
    """Needs a key of the whole organisation. Keys for it: `POST /v1/keys` with its header."""
    project = await projects.create(wanted.name)
    response.headers["Location"] = f"/v1/projects/{project.id}"
    return project_out(project)


@router.get("", summary="List the projects that the key opens, newest first")
async def list_projects(projects: Projects, page: Page) -> ProjectPage:
    rows, following = await projects.page(page)
    return ProjectPage(items=[project_out(row) for row in rows], next=following)


@router.get("/{project}", summary="One project")
async def get_project(project: PathProject, projects: Projects) -> ProjectOut:
    return project_out(await projects.get(project))


@router.patch("/{project}", summary="Rename a project")
async def patch_project(
    project: PathProject, changes: ProjectPatch, projects: Projects
) -> ProjectOut:
    return project_out(await projects.rename(project, changes.name))
