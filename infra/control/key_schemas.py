"""API keys as the API takes and shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from infra.auth.scopes import Scope
from infra.control.schemas import FROM_TEXT, In, Moment, Name, Out, Timestamp, at, required_at
from infra.db.control import ApiKey

MAX_GRACE_S = 24 * 3600


def _each_once(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) != len(scopes):
        raise ValueError("a scope is named twice")
    return scopes


Scopes = Annotated[
    list[Annotated[Scope, FROM_TEXT]], Field(min_length=1), AfterValidator(_each_once)
]


class KeyCreate(In):
    """A new API key of the project."""

    name: Name = Field(description="For people.", examples=["chat server"])
    scopes: Annotated[
        list[Annotated[Scope, FROM_TEXT]], Field(min_length=1), AfterValidator(_each_once)
    ] = Field(
        description="What it may do; `*` is everything. No more than the key that makes it.",
        examples=[["events:read", "markers:write"]],
    )
    expires_at: Moment | None = Field(
        None, description="Left out: when the key that makes it expires, if ever."
    )
    organisation_wide: bool = Field(
        False, description="Opens every project of the organisation, by `Livepath-Project`."
    )
    installation_wide: bool = Field(
        False,
        description="Sees all organisations and makes more; it opens every project of its own.",
    )


class KeyRotate(In):
    """How a secret is replaced."""

    grace_s: int = Field(
        0, ge=0, le=MAX_GRACE_S, description="For how long the old secret is good as well."
    )


class KeyOut(Out):
    id: str = Field(examples=["key_2kq5mzx7c3v4b6n7a8sd"])
    name: str = Field(examples=["chat server"])
    project: str = Field(examples=["default"])
    scopes: list[str] = Field(examples=[["events:read", "markers:write"]])
    organisation_wide: bool
    installation_wide: bool
    made_by: str | None = Field(description="Id of the key that made it.")
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="To the minute.")
    previous_until: Timestamp | None = Field(
        description="Until when the secret before the rotation is good as well."
    )


class KeyMade(KeyOut):
    """A key with its secret, which is shown this once."""

    secret: str = Field(examples=["lp_…"])


class KeyPage(Out):
    items: list[KeyOut]
    next: str | None = Field(description="Pass as `after` for the next page.")


def _shown(key: ApiKey) -> dict[str, str | list[str] | bool | datetime | None]:
    return {
        "id": key.id,
        "name": key.name,
        "project": key.project,
        "scopes": key.scopes,
        "organisation_wide": key.organisation_wide,
        "installation_wide": key.installation_wide,
        "made_by": key.made_by,
        "created_at": required_at(key.created_ms),
        "expires_at": at(key.expires_ms),
        "revoked_at": at(key.revoked_ms),
        "last_used_at": at(key.last_used_ms),
        "previous_until": at(key.previous_until_ms),
    }


def key_out(key: ApiKey) -> KeyOut:
    return KeyOut.model_validate(_shown(key))


def key_made(key: ApiKey, secret: str) -> KeyMade:
    return KeyMade.model_validate({**_shown(key), "secret": secret})
