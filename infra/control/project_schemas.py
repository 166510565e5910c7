"""Projects as the API takes and shows them."""

from pydantic import Field

from infra.control.schemas import In, Name, Out, Timestamp, required_at
from infra.db.control import Project


class ProjectCreate(In):
    name: Name = Field(description="For people.", examples=["Football"])


class ProjectPatch(In):
    name: Name


class ProjectOut(Out):
    id: str = Field(
        description="The header `Livepath-Project` names it, and it begins every object key.",
        examples=["prj_2kq5mzx7c3v4b6n7a8sd"],
    )
    name: str = Field(examples=["Football"])
    organisation: str = Field(examples=["default"])
    created_at: Timestamp


class ProjectPage(Out):
    items: list[ProjectOut]
    next: str | None = Field(description="Pass as `after` for the next page.")


def project_out(project: Project) -> ProjectOut:
    return ProjectOut(
        id=project.id,
        name=project.name,
        organisation=project.organisation,
        created_at=required_at(project.created_ms),
    )
