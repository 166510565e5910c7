"""`client.keys`, `client.projects`, `client.organisations` and `client.audit`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from infra.client.calls import Call, said
from infra.client.groups import Group, W, listing, operation
from infra.client.models import (
    AuditEntry,
    Key,
    NewKey,
    NewOrganisation,
    Organisation,
    Page,
    Project,
)

KEYS, KEY = "/v1/keys", "/v1/keys/{key}"
PROJECTS, PROJECT = "/v1/projects", "/v1/projects/{project}"
ORGANISATIONS, ORGANISATION = "/v1/organisations", "/v1/organisations/{organisation}"


class AuditFilters(TypedDict, total=False):
    """Which entries are listed; all of them must fit."""

    key: str
    event: str
    operation: str
    request_id: str
    outcome: str
    since: datetime
    until: datetime


class Keys(Group[W]):
    """API keys of the project."""

    @operation
    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        expires_at: datetime | None = None,
        organisation_wide: bool = False,
        installation_wide: bool = False,
        idempotency_key: str | None = None,
    ) -> Call[NewKey]:
        """Make a key that may do no more than this one; its secret is in this answer alone."""
        chosen = {
            "organisation_wide": organisation_wide or None,
            "installation_wide": installation_wide or None,
            "expires_at": expires_at,
        }
        body = {"name": name, "scopes": scopes, **said(chosen)}
        return Call("POST", KEYS, NewKey, body=body, key=idempotency_key)

    @listing
    def list(self, *, page_size: int | None = None) -> Call[Page[Key]]:
        return Call("GET", KEYS, Page[Key], query={"limit": page_size})

    @operation
    def get(self, key: str) -> Call[Key]:
        return Call("GET", KEY, Key, {"key": key})

    @operation
    def rotate(
        self, key: str, *, grace_s: int = 0, idempotency_key: str | None = None
    ) -> Call[NewKey]:
        """Replace the secret; the old one is good for another `grace_s` seconds."""
        body = {"grace_s": grace_s}
        return Call("POST", KEY + "/rotate", NewKey, {"key": key}, body=body, key=idempotency_key)

    @operation
    def revoke(self, key: str) -> Call[Key]:
        """It opens nothing from the next request on."""
        return Call("DELETE", KEY, Key, {"key": key})


class Projects(Group[W]):
    """Projects of the organisation."""

    @operation
    def create(self, name: str, *, idempotency_key: str | None = None) -> Call[Project]:
        return Call("POST", PROJECTS, Project, body={"name": name}, key=idempotency_key)

    @listing
    def list(self, *, page_size: int | None = None) -> Call[Page[Project]]:
        return Call("GET", PROJECTS, Page[Project], query={"limit": page_size})

    @operation
    def get(self, project: str) -> Call[Project]:
        return Call("GET", PROJECT, Project, {"project": project})

    @operation
    def rename(self, project: str, name: str) -> Call[Project]:
        return Call("PATCH", PROJECT, Project, {"project": project}, body={"name": name})


class Organisations(Group[W]):
    """Who owns projects; for keys of a whole organisation, or of the installation."""

    @operation
    def create(
        self, name: str, *, project: str | None = None, idempotency_key: str | None = None
    ) -> Call[NewOrganisation]:
        """Make one with a first project, so called, and a key whose secret is in this answer
        alone. Needs a key of the whole installation."""
        body = said({"name": name, "project": project})
        return Call("POST", ORGANISATIONS, NewOrganisation, body=body, key=idempotency_key)

    @listing
    def list(self, *, page_size: int | None = None) -> Call[Page[Organisation]]:
        return Call("GET", ORGANISATIONS, Page[Organisation], query={"limit": page_size})

    @operation
    def get(self, organisation: str) -> Call[Organisation]:
        return Call("GET", ORGANISATION, Organisation, {"organisation": organisation})

    @operation
    def rename(self, organisation: str, name: str) -> Call[Organisation]:
        ids = {"organisation": organisation}
        return Call("PATCH", ORGANISATION, Organisation, ids, body={"name": name})

    @listing
    def projects(self, organisation: str, *, page_size: int | None = None) -> Call[Page[Project]]:
        ids, query = {"organisation": organisation}, {"limit": page_size}
        return Call("GET", ORGANISATION + "/projects", Page[Project], ids, query)


class Audit(Group[W]):
    """Who changed what, and who was refused."""

    @listing
    def list(
        self, *, page_size: int | None = None, **filters: Unpack[AuditFilters]
    ) -> Call[Page[AuditEntry]]:
        query = {"limit": page_size, **filters}
        return Call("GET", "/v1/audit", Page[AuditEntry], query=query)
