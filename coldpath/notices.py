"""Public events of the cold path: jobs that are over, and what they made.

The ledger calls these in the transaction that makes them true.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from coldpath.records import Lease, NewAsset, asset_id
from infra.db.jobs import Job
from infra.keys import SegmentKey, parse
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record

_MAX_ERROR = 500


def tell_succeeded(session: Session, lease: Lease, cost: Mapping[str, Any], now: int) -> None:
    """Not of a job over a segment: while an event is live there is one every few seconds."""
    if isinstance(parse(lease.input_key), SegmentKey):
        return
    data = {"job": lease.job, "function": lease.function, "cost": dict(cost)}
    record(session, Notice(lease.project, lease.event, NoticeType.JOB_SUCCEEDED, data), now)


def tell_dead(session: Session, job: Job, error: str, now: int) -> None:
    data = {"job": job.id, "function": job.function, "error": error[:_MAX_ERROR]}
    record(session, Notice(job.project, job.event, NoticeType.JOB_DEAD, data), now)


def tell_asset(session: Session, lease: Lease, asset: NewAsset, now: int) -> None:
    data = {
        "asset": asset_id(asset.key),
        "kind": asset.kind,
        "key": asset.key,
        "content_type": asset.content_type,
        "bytes": asset.bytes,
        "duration_ms": asset.duration_ms,
        "job": lease.job,
    }
    record(session, Notice(lease.project, lease.event, NoticeType.ASSET_READY, data), now)
