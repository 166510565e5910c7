"""A job before anybody works on it: its identity and its row.

Invariant: the same request gives the same id, so filing it twice files it once, whoever does it.

Upstream: the dispatcher files what objects ask for, the control API what clients ask for.
Downstream: the jobs table. The caller owns the transaction.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infra.db.jobs import Asset, Job
from infra.jobs.states import JobState
from infra.keys import ProgramKey


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to file: `function` over one version of one object, or over parameters."""

    id: str
    function: str
    project: str
    event: str
    feed: str
    input_key: str
    input_version: str
    queue: str
    max_attempts: int
    timeout_s: int = 3600
    params: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None
    """What its attempts are part of."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """An idempotency key, and whose it is: it means nothing to others."""

    caller: str
    key: str


def job_id(function: str, input_key: str, input_version: str) -> str:
    """`job_` and 20 base32 characters (100 bits) of a hash over all three, length-prefixed so that
    no two different triples run together."""
    digest = hashlib.sha256()
    for text in (function, input_key, input_version):
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return "job_" + base64.b32encode(digest.digest()).decode("ascii").lower()[:20]


def requested(
    function: str,
    program: ProgramKey,
    params: Mapping[str, Any],
    *,
    queue: str,
    max_attempts: int,
    timeout_s: int,
    apart: OwnKey | None = None,
) -> JobRequest:
    """What a client asks for. Within the programme equal parameters are the same job, unless a key
    tells them apart."""
    told = params if apart is None else [apart.caller, apart.key, params]
    said = json.dumps(told, sort_keys=True)
    version = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    key = f"request/{program}"
    return JobRequest(
        id=job_id(function, key, version),
        function=function,
        project=program.project,
        event=program.event,
        feed=program.feed,
        input_key=key,
        input_version=version,
        queue=queue,
        max_attempts=max_attempts,
        timeout_s=timeout_s,
        params=params,
    )


def job_row(request: JobRequest, now: int) -> dict[str, Any]:
    return {
        "id": request.id,
        "project": request.project,
        "event": request.event,
        "feed": request.feed,
        "function": request.function,
        "input_key": request.input_key,
        "input_version": request.input_version,
        "queue": request.queue,
        "timeout_s": request.timeout_s,
        "params": dict(request.params),
        "state": JobState.QUEUED.value,
        "attempt_count": 0,
        "max_attempts": request.max_attempts,
        "progress": 0,
        "fence": 0,
        "outputs": {},
        "cost": {},
        "traceparent": request.traceparent,
        "created_ms": now,
        "updated_ms": now,
    }


def insert_new(session: Session, table: type[Job] | type[Asset], values: Mapping[str, Any]) -> bool:
    """Inserts the row unless one with the same unique columns exists; says whether it did."""
    return bool(insert_all_new(session, table, [values]))


def insert_all_new(
    session: Session, table: type[Job] | type[Asset], rows: Sequence[Mapping[str, Any]]
) -> set[str]:
    """The same for many, of which a statement takes a thousand at most: ids of those inserted."""
    if not rows:
        return set()
    sqlite_or_not = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = sqlite_or_not.insert(table).on_conflict_do_nothing().returning(table.id)
    return set(session.scalars(statement, [dict(row) for row in rows]))
