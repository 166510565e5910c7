"""Organisations as the API takes and shows them."""

from pydantic import Field

from infra.control.key_schemas import KeyMade, key_made
from infra.control.project_schemas import ProjectOut, project_out
from infra.control.schemas import In, Name, Out, Timestamp, required_at
from infra.db.control import ApiKey, Organisation, Project


class OrganisationCreate(In):
    """A new organisation with its first project."""

    name: Name = Field(description="For people.", examples=["Ski club"])
    project: Name | None = Field(
        None, description="Name of its first project; left out: that of the organisation."
    )


class OrganisationPatch(In):
    name: Name


class OrganisationOut(Out):
    id: str = Field(examples=["org_2kq5mzx7c3v4b6n7a8sd"])
    name: str = Field(examples=["Ski club"])
    created_at: Timestamp


class OrganisationMade(OrganisationOut):
    """With what opens it."""

    project: ProjectOut
    key: KeyMade = Field(
        description="May do everything in all of its projects. Its secret is shown this once."
    )


class OrganisationPage(Out):
    items: list[OrganisationOut]
    next: str | None = Field(description="Pass as `after` for the next page.")


def organisation_out(organisation: Organisation) -> OrganisationOut:
    return OrganisationOut(
        id=organisation.id,
        name=organisation.name,
        created_at=required_at(organisation.created_ms),
    )


def organisation_made(
    organisation: Organisation, project: Project, key: ApiKey, secret: str
) -> OrganisationMade:
    return OrganisationMade(
        id=organisation.id,
        name=organisation.name,
        created_at=required_at(organisation.created_ms),
        project=project_out(project),
        key=key_made(key, secret),
    )
