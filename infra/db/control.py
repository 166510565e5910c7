"""Control's tables: organisations, projects with their secrets and API keys, events, and facts.

`revision` rises with every change that media nodes must learn of; `published_revision` is the last
one that reached the bus. A row whose two revisions differ is owed to the bus.
"""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from infra.lifecycle import WAITING, AutoStart, EventState

OPEN_STATES = WAITING | {EventState.LIVE, EventState.RECONNECTING}
"""States in which publishers may connect."""
UNSEEN = frozenset({EventState.DRAFT, EventState.CANCELLED})
"""States of events that viewers find nowhere."""
NO_START = 10**15 - 1
"""Sorts behind every start there can be; part of an index, so a migration changes it."""


class Organisation(Base):
    """Who owns projects."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_ms: Mapped[int]


class Project(Base):
    """A tenant. Its id is the first part of every object key."""

    __tablename__ = "projects"
    __table_args__ = (Index(None, "organisation", "created_ms", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int] = mapped_column(default=1)
    published_revision: Mapped[int] = mapped_column(default=0)
    organisation: Mapped[str] = mapped_column(String(64), server_default="default")
    created_ms: Mapped[int]


class ProjectSecret(Base):
    """A secret from which stream keys, passphrases and viewer tokens of the project derive."""

    __tablename__ = "project_secrets"

    project: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    secret: Mapped[str] = mapped_column(String(64))
    """Base64 of 32 random bytes; media nodes verify with it, so it cannot be a hash."""
    created_ms: Mapped[int]


class SigningKey(Base):
    """An Ed25519 key that viewer tokens of the project are signed with."""

    __tablename__ = "signing_keys"
    __table_args__ = (Index(None, "project", "signs_from_ms", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The `kid` of tokens."""
    project: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    private: Mapped[str] = mapped_column(String(64))
    """Base64 of 32 random bytes, kept as the project's secret is."""
    public: Mapped[str] = mapped_column(String(64))
    """As in a JWK; media nodes and others verify with it."""
    signs_from_ms: Mapped[int]
    created_ms: Mapped[int]


class ApiKey(Base):
    """An API key, kept as a hash only. A rotated one has two for a while."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(None, "project", "created_ms", "id"),
        Index(None, "previous_hash", unique=True),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]] = mapped_column(default=lambda: ["*"], server_default='["*"]')
    """Of `infra.auth.scopes`."""
    organisation_wide: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Opens every project of the organisation; `project` where the caller names none."""
    installation_wide: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Sees all organisations and makes more; then it is `organisation_wide` as well."""
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until_ms: Mapped[int | None]
    """Until when the secret before the rotation is good as well."""
    made_by: Mapped[str | None] = mapped_column(String(64))
    """Id of the key that made this one."""
    expires_ms: Mapped[int | None]
    revoked_ms: Mapped[int | None]
    last_used_ms: Mapped[int | None]
    """To the minute."""
    created_ms: Mapped[int]


class Event(Base):
    """One scheduled, running or past event."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "project", "created_ms", "id"),
        Index(None, "state", "project", "created_ms", "id"),
        Index("ix_events_start", "project", text(f"coalesce(starts_at_ms, {NO_START})"), "id"),
        Index(None, "updated_ms"),
        Index(
            "ix_events_owed",
            "id",
            sqlite_where=text("published_revision < revision"),
            postgresql_where=text("published_revision < revision"),
        ),
        Index(
            "ix_events_due",
            "due_ms",
            sqlite_where=text("due_ms IS NOT NULL"),
            postgresql_where=text("due_ms IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    name_folded: Mapped[str | None] = mapped_column(String(600))
    """For searches, whatever the database knows of letters; None in rows from before."""
    state: Mapped[str] = mapped_column(String(16), default=EventState.SCHEDULED.value)
    access: Mapped[str] = mapped_column(String(16))
    takeover: Mapped[bool] = mapped_column(default=False)
    starts_at_ms: Mapped[int | None]
    ends_at_ms: Mapped[int | None]
    time_zone: Mapped[str | None] = mapped_column(String(64))
    """IANA name, for showing times."""
    lobby_opens_s: Mapped[int] = mapped_column(default=900, server_default=text("900"))
    """Before the start."""
    auto_start: Mapped[str] = mapped_column(
        String(16),
        default=AutoStart.ON_PUBLISH.value,
        server_default=text(f"'{AutoStart.ON_PUBLISH.value}'"),
    )
    auto_end: Mapped[bool] = mapped_column(default=False, server_default=false())
    end_grace_s: Mapped[int] = mapped_column(default=300, server_default=text("300"))
    """After `ends_at`, before `auto_end`."""
    due_ms: Mapped[int | None]
    """When the clock looks at it next, no later than something is due; None: never."""
    on_air_ms: Mapped[int | None]
    """Since when its programme has pictures that are held back; None: nothing is."""
    latency: Mapped[str] = mapped_column(
        String(16), default="realtime", server_default=text("'realtime'")
    )
    """What players try first; a `Latency` of the API."""
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    """Name -> value, both text; lists can be filtered by them."""
    custom: Mapped[dict[str, Any]] = mapped_column(
        "metadata", JSON, default=dict, server_default=text("'{}'")
    )
    """Whatever the client keeps with the event; nobody reads it here."""
    cold_functions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Which of the functions that objects start run for it; None: all."""
    tiers: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Those that its viewers may have, of `infra.auth.policy`; None: all."""
    reconnect_window_s: Mapped[int] = mapped_column(default=60)
    target_duration_s: Mapped[int] = mapped_column(default=2)
    renditions: Mapped[list[str]] = mapped_column(default=list, server_default=text("'[]'"))
    """Beside the source; names of `infra.renditions`."""
    dvr_window_s: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How far back viewers of the live event can go; 0: only what playlists list anyway."""
    recording: Mapped[bool] = mapped_column(default=True, server_default=true())
    """False: what is broadcast is kept nowhere."""
    kid: Mapped[str] = mapped_column(String(32))
    generation: Mapped[int] = mapped_column(default=1)
    staying_generation: Mapped[int | None]
    """Publishers with a key of this generation or a later one may stay, though it was replaced."""
    revision: Mapped[int] = mapped_column(default=1)
    published_revision: Mapped[int] = mapped_column(default=0)
    recording_degraded: Mapped[bool] = mapped_column(default=False)
    primary_connected: Mapped[bool] = mapped_column(default=False, server_default=false())
    backup_connected: Mapped[bool] = mapped_column(default=False, server_default=false())
    active_role: Mapped[str | None] = mapped_column(String(16))
    """Whose media goes on the air; a `Role`."""
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    started_ms: Mapped[int | None]
    """When the first keyframe was published."""
    ended_ms: Mapped[int | None]
    traceparent: Mapped[str | None] = mapped_column(String(64))
    """Of the request that created it: the trace that media nodes and jobs go on with."""


class Fact(Base):
    """A fact that a media node reported, kept once per fact id."""

    __tablename__ = "facts"
    __table_args__ = (Index(None, "project", "event", "at_ms"), Index(None, "at_ms"))

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64))
    """No foreign key: a refusal may name an event that never existed."""
    type: Mapped[str] = mapped_column(String(64))
    at_ms: Mapped[int]
    detail: Mapped[dict[str, Any]]
