"""What passes between the ledger, the runner and functions, and how it becomes rows."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.db.jobs import Job
from infra.lifecycle import Trigger


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one attempt to work on one job and to write its outcome."""

    job: str
    function: str
    project: str
    event: str
    feed: str
    input_key: str
    input_version: str
    attempt: int
    fence: int
    traceparent: str | None
    params: Mapping[str, Any] = field(default_factory=dict)
    """What a client asked for, of a job that a client filed."""
    checkpoint: Mapping[str, Any] | None = None
    """What an earlier attempt had done, as it said itself."""
    timeout_s: int = 3600
    """An attempt that takes longer is ended."""
    postponed: int = 0
    """Earlier attempts, since the job was last queued anew, that found store or database away."""


@dataclass(frozen=True, slots=True)
class NewAsset:
    """An asset to list, made by a job."""

    kind: str
    key: str
    content_type: str
    bytes: int
    duration_ms: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a function returns: small facts, never media."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    assets: Sequence[NewAsset] = ()
    trigger: Trigger | None = None
    """Applied to the event in the transaction that records the success."""


def asset_id(key: str) -> str:
    """`as_` and 20 base32 characters of a hash of the object's key."""
    digest = hashlib.sha256(key.encode()).digest()
    return "as_" + base64.b32encode(digest).decode("ascii").lower()[:20]


def lease_of(job: Job, postponed: int = 0) -> Lease:
    return Lease(
        job=job.id,
        function=job.function,
        project=job.project,
        event=job.event,
        feed=job.feed,
        input_key=job.input_key,
        input_version=job.input_version,
        attempt=job.attempt_count,
        fence=job.fence,
        traceparent=job.traceparent,
        params=job.params,
        checkpoint=job.checkpoint,
        timeout_s=job.timeout_s,
        postponed=postponed,
    )


def attempt_row(job: Job, owner: str, now: int) -> dict[str, Any]:
    return {
        "id": f"{job.id}.{job.fence}",
        "project": job.project,
        "job": job.id,
        "number": job.fence,
        "worker": owner,
        "started_ms": now,
    }


def asset_row(lease: Lease, asset: NewAsset, now: int) -> dict[str, Any]:
    return {
        "id": asset_id(asset.key),
        "project": lease.project,
        "event": lease.event,
        "feed": lease.feed,
        "kind": asset.kind,
        "key": asset.key,
        "content_type": asset.content_type,
        "bytes": asset.bytes,
        "duration_ms": asset.duration_ms,
        "detail": dict(asset.detail),
        "job": lease.job,
        "created_ms": now,
    }
