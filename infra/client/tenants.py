"""`client.keys`, `client.projects` and `client.audit`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from infra.client.calls import Call
from infra.client.groups import Group, W, listing, operation
from infra.client.models import AuditEntry, Key, NewKey, Page, Project

KEYS, KEY = "/v1/keys", "/v1/keys/{key}"
PROJECTS, PROJECT = "/v1/projects", "/v1/projects/{project}"


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
        idempotency_key: str | None = None,
    ) -> Call[NewKey]:
        """Make a key that may do no more than this one; its secret is in this answer alone."""
        body = {"name": name, "scopes": scopes, "organisation_wide": organisation_wide}
        body |= {} if expires_at is None else {"expires_at": expires_at}
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


class Audit(Group[W]):
    """Who changed what, and who was refused."""

    @listing
    def list(
        self, *, page_size: int | None = None, **filters: Unpack[AuditFilters]
    ) -> Call[Page[AuditEntry]]:
        query = {"limit": page_size, **filters}
        return Call("GET", "/v1/audit", Page[AuditEntry], query=query)
