"""`/v1/organisations`: who owns projects."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.dependencies import Context, Page, Session, TheCaller
from infra.control.idempotency import AnswersOnce
from infra.control.organisation_schemas import (
    OrganisationCreate,
    OrganisationMade,
    OrganisationOut,
    OrganisationPage,
    OrganisationPatch,
    organisation_made,
    organisation_out,
)
from infra.control.organisations import OrganisationService
from infra.control.project_schemas import ProjectPage, project_out

router = APIRouter(prefix="/v1/organisations", tags=["organisations"], route_class=AnswersOnce)

PathOrganisation = Annotated[
    str, Path(description="Id of the organisation.", examples=["org_2kq5mzx7c3v4b6n7a8sd"])
]


async def _service(session: Session, caller: TheCaller, context: Context) -> OrganisationService:
    return OrganisationService(session, caller, context.now_ms())


Organisations = Annotated[OrganisationService, Depends(_service)]


@router.post("", status_code=201, summary="Make an organisation")
async def create_organisation(
    wanted: OrganisationCreate, response: Response, organisations: Organisations
) -> OrganisationMade:
    """With a first project and a key to all of it, whose secret is in this answer and nowhere
    else. Needs a key of the whole installation, which opens nothing in it."""
    made = await organisations.create(wanted.name, wanted.project)
    response.headers["Location"] = f"/v1/organisations/{made[0].id}"
    response.headers["Cache-Control"] = "no-store"
    return organisation_made(*made)


@router.get("", summary="List the organisations that the key opens, newest first")
async def list_organisations(organisations: Organisations, page: Page) -> OrganisationPage:
    """One for a key of the whole organisation, none for a key of one project."""
    rows, following = await organisations.page(page)
    return OrganisationPage(items=[organisation_out(row) for row in rows], next=following)


@router.get("/{organisation}", summary="One organisation")
async def get_organisation(
    organisation: PathOrganisation, organisations: Organisations
) -> OrganisationOut:
    return organisation_out(await organisations.get(organisation))


@router.patch("/{organisation}", summary="Rename an organisation")
async def patch_organisation(
    organisation: PathOrganisation, changes: OrganisationPatch, organisations: Organisations
) -> OrganisationOut:
    return organisation_out(await organisations.rename(organisation, changes.name))


@router.get("/{organisation}/projects", summary="List an organisation's projects, newest first")
async def list_projects_of_organisation(
    organisation: PathOrganisation, organisations: Organisations, page: Page
) -> ProjectPage:
    rows, following = await organisations.projects(organisation, page)
    return ProjectPage(items=[project_out(row) for row in rows], next=following)
