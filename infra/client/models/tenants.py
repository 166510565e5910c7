"""Organisations, projects, their keys and secrets, and the log of who did what."""

from datetime import datetime

from infra.client.models.base import Model


class Key(Model):
    """An API key, without its secret."""

    id: str
    name: str
    project: str
    scopes: tuple[str, ...]
    organisation_wide: bool
    installation_wide: bool
    made_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    previous_until: datetime | None


class NewKey(Key):
    """A key with its secret, which is shown this once."""

    secret: str


class SigningKey(Model):
    """An Ed25519 key of viewer tokens; its private half stays with the server."""

    id: str
    """`kid` of the tokens that it signs."""
    public: str
    signs: bool
    signs_from: datetime
    created_at: datetime


class SigningKeys(Model):
    items: tuple[SigningKey, ...]


class Secret(Model):
    """A secret of the project, which itself stays with the server."""

    kid: str
    signs: bool
    open_events: int
    """Events that are not over whose stream key comes from it."""
    created_at: datetime


class Secrets(Model):
    items: tuple[Secret, ...]


class Project(Model):
    id: str
    name: str
    organisation: str
    created_at: datetime


class Organisation(Model):
    id: str
    name: str
    created_at: datetime


class NewOrganisation(Organisation):
    """An organisation with its first project, and a key to all of it."""

    project: Project
    key: NewKey


class AuditEntry(Model):
    id: str
    at: datetime
    key: str | None
    ip: str
    operation: str
    event: str | None
    objects: dict[str, str]
    outcome: str
    status: int
    request_id: str
