"""Rows that other roles would write."""

from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.events_state import advance_event
from infra.db.jobs import Asset, Function, Job, JobAttempt
from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookDelivery
from infra.lifecycle import ACTORS, Trigger
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record
from infra.webhooks.deliveries import again


class Deployment(Protocol):
    """A database of control's, and what time it is there."""

    now_ms: int

    def session(self) -> Session: ...


def add_functions(deployment: Deployment, *names: str) -> None:
    """Functions that clients may ask for."""
    terms = {
        "queue": "fast", "max_attempts": 9, "timeout_s": 60, "memory_mb": 1, "per_project": None,
    }  # fmt: skip
    with deployment.session() as session, session.begin():
        for name in names:
            session.add(Function(name=name, trigger="request", doc="", terms=terms, seen_ms=0))


def advance(deployment: Deployment, event: str, *triggers: Trigger) -> None:
    """What the media node reported, or the archive's job."""
    with deployment.session() as session, session.begin():
        for trigger in triggers:
            by = min(ACTORS[trigger])
            advance_event(session, event, trigger, deployment.now_ms, by=by)


def add_job(
    deployment: Deployment,
    event: str,
    name: str = "job_1",
    *,
    state: str = "succeeded",
    at: int = 0,
    project: str = "default",
    **more: Any,
) -> str:
    """A job with two attempts; `more` are fields that are not those of an archive's. Its id."""
    now = deployment.now_ms + at
    with deployment.session() as session, session.begin():
        fields: dict[str, Any] = {
            "function": "archive",
            "input_key": f"live/{project}/{event}/main/i1/manifest.json",
            "queue": "bulk",
            "outputs": {"keys": ["vod/x"]},
            **more,
        }
        session.add(
            Job(
                id=name,
                project=project,
                event=event,
                feed="main",
                input_version=name,
                state=state,
                attempt_count=2,
                max_attempts=5,
                progress=1000,
                fence=2,
                cost={"wall_ms": 12},
                created_ms=now,
                updated_ms=now + 30,
                started_ms=now + 10,
                finished_ms=now + 30,
                **fields,
            )
        )
        session.flush()
        for number, outcome in ((2, "succeeded"), (1, "lost")):
            session.add(
                JobAttempt(
                    id=f"{name}-{number}",
                    project=project,
                    job=name,
                    number=number,
                    worker="w1",
                    started_ms=now + number,
                    ended_ms=now + 5 + number,
                    outcome=outcome,
                )
            )
    return name


def add_delivery(
    deployment: Deployment, webhook: str, *, project: str = "default", state: str = "pending"
) -> str:
    """A message of the project, on its way to the webhook or there or lost; the delivery's id."""
    with deployment.session() as session, session.begin():
        notice = Notice(project, None, NoticeType.WEBHOOK_TEST, {})
        position = record(session, notice, deployment.now_ms, target=webhook)
        hook, message = session.get_one(Webhook, webhook), session.get_one(OutboxMessage, position)
        again(session, [(hook, message)], deployment.now_ms)
        mine = select(WebhookDelivery).where(WebhookDelivery.message == position)
        row = session.scalars(mine).one()
        row.state = state
        return row.id


def add_asset(
    deployment: Deployment,
    event: str,
    job: str,
    name: str = "archive.mp4",
    kind: str = "mp4",
    *,
    project: str = "default",
) -> str:
    """An asset of the event; returns its object key."""
    key = f"vod/{project}/{event}/main/c0ffee/{name}"
    with deployment.session() as session, session.begin():
        session.add(
            Asset(
                id=f"as_{event}-{name.replace('.', '-')}",
                project=project,
                event=event,
                feed="main",
                kind=kind,
                key=key,
                content_type="video/mp4",
                bytes=5,
                duration_ms=4000,
                detail={"frames": 100},
                job=job,
                created_ms=deployment.now_ms,
            )
        )
    return key
