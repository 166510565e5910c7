"""The cold path's tables: jobs, their attempts, and the assets they made.

`coldpath.ledger` is the only writer; the control API reads. The jobs table is the truth about a
job, a broker message is only its delivery.
"""

from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base


class Job(Base):
    """One function over one version of one object."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("function", "input_key", "input_version"),
        Index(None, "state", "next_attempt_ms"),
        Index(None, "function", "state", "finished_ms"),
        Index(None, "project", "event", "created_ms", "id"),
        Index(None, "project", "created_ms", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """`job_` + hash of function, input key and input version."""
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64))
    """No foreign key: objects may outlive the row of their event."""
    feed: Mapped[str] = mapped_column(String(64))
    function: Mapped[str] = mapped_column(String(64))
    input_key: Mapped[str] = mapped_column(String(512))
    input_version: Mapped[str] = mapped_column(String(128))
    queue: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    attempt_count: Mapped[int] = mapped_column(default=0)
    """Attempts held against the job, counted when they start; handed-back ones are taken off."""
    max_attempts: Mapped[int]
    progress: Mapped[int] = mapped_column(default=0)
    """Thousandths of the work that the current attempt has done."""
    fence: Mapped[int] = mapped_column(default=0)
    """Rises with every lease; a write that carries a lower one changes nothing."""
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until_ms: Mapped[int | None]
    delivery_sent_ms: Mapped[int | None]
    """When the broker took the last delivery; None: one is owed."""
    next_attempt_ms: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    timeout_s: Mapped[int] = mapped_column(default=3600)
    """Seconds that an attempt may take."""
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What a client asked for; empty when an object did."""
    checkpoint: Mapped[dict[str, Any] | None]
    """What attempts so far have done, for the next one to go on from."""
    outputs: Mapped[dict[str, Any]]
    """`{"keys": [...], ...}`: what the function returned."""
    cost: Mapped[dict[str, Any]]
    """`{"wall_ms", "cpu_ms", "bytes_in", "bytes_out"}` of the attempt that succeeded."""
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    started_ms: Mapped[int | None]
    """When the first attempt of this round began; a job that is queued anew begins another one."""
    finished_ms: Mapped[int | None]


class JobAttempt(Base):
    """One lease of a job, whatever became of it."""

    __tablename__ = "job_attempts"
    __table_args__ = (UniqueConstraint("job", "number"),)

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    job: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int]
    """The fence of this lease."""
    worker: Mapped[str] = mapped_column(String(200))
    started_ms: Mapped[int]
    ended_ms: Mapped[int | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    """succeeded | failed | lost (the worker died) | handed-back | postponed (the store was away) |
    cancelled; None: it runs."""
    error: Mapped[str | None] = mapped_column(Text)
    log: Mapped[str | None] = mapped_column(Text)
    """The last lines that the attempt logged."""


BROKEN = "broken"
"""In place of what starts a function: its package cannot be imported."""


class Function(Base):
    """A function that dispatchers know, for those who cannot import it: the API and people."""

    __tablename__ = "functions"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    trigger: Mapped[str] = mapped_column(String(32))
    """`segment`, `init`, `manifest`, `vod`, `work`, or `request`: by a client; or `BROKEN`."""
    doc: Mapped[str] = mapped_column(Text)
    """The first line of its docstring; of what is broken, why."""
    terms: Mapped[dict[str, Any]]
    """Queue, attempts, time-out and the rest, by name."""
    seen_ms: Mapped[int]
    """When a dispatcher that has it started last."""


class Asset(Base):
    """Something a job made that the API offers."""

    __tablename__ = "assets"
    __table_args__ = (UniqueConstraint("key"), Index(None, "project", "event", "created_ms", "id"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """`as_` + hash of the key."""
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64))
    feed: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    """mp4 | vod."""
    key: Mapped[str] = mapped_column(String(512))
    content_type: Mapped[str] = mapped_column(String(128))
    bytes: Mapped[int]
    duration_ms: Mapped[int | None]
    detail: Mapped[dict[str, Any]]
    job: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    created_ms: Mapped[int]
