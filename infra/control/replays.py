"""What the API does with replays: each is an object in the bucket and a job that lists it.

Invariant: the newest replay that was stored is the event's; the same one again changes nothing. No
transaction is open while the object is written. None of this commits.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.context import ControlContext
from infra.control.job_schemas import JobCreate
from infra.control.jobs import JobService
from infra.control.links import FEED, Links
from infra.control.problems import Conflict, Invalid, NotFound
from infra.control.replay_schemas import ReplayOut
from infra.control.schemas import required_at
from infra.control.service import EventService
from infra.db.control import Event
from infra.db.jobs import Job
from infra.jobs.replay import FUNCTION, NAME, Replay, ReplayRequest, content_after, digest_of
from infra.jobs.states import JobState
from infra.keys import ProgramKey, VodKey

_OVER = (JobState.DEAD.value, JobState.CANCELLED.value)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replay goes."""

    request: ReplayRequest
    text: bytes
    stored: bool
    """It is there already, and the event's."""


class ReplayService:
    """Replays of one project's events, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._events = EventService(session, context, project)
        self._jobs = JobService(session, context, project)

    async def place(self, event_id: str, wanted: Replay) -> Place:
        event = await self._events.get(event_id)
        _require_timeline(event, wanted)
        text = wanted.text()
        digest = digest_of(text)
        newest = await self._newest(event)
        if newest is not None and newest.params.get("digest") == digest:
            return Place(ReplayRequest.model_validate(newest.params), text, stored=True)
        earlier = str(newest.params.get("key")) if newest else ""
        program = ProgramKey(event.project, event.id, FEED)
        key = str(VodKey(program, content_after(digest, earlier), NAME))
        return Place(ReplayRequest(key=key, digest=digest), text, stored=False)

    async def file(self, event_id: str, place: Place) -> tuple[Job, bool]:
        """The job that lists what was stored, and whether it is new."""
        wanted = JobCreate(function=FUNCTION, feed=FEED, params=place.request.model_dump())
        return await self._jobs.request(event_id, wanted, None)

    async def get(self, event_id: str) -> Job:
        """The job of the newest."""
        event = await self._events.get(event_id)
        job = await self._newest(event)
        if job is None:
            raise NotFound(
                f"event {event.id} has no replay", f"Store one: PUT /v1/events/{event.id}/replay."
            )
        return job

    async def _newest(self, event: Event) -> Job | None:
        query = (
            select(Job)
            .where(Job.project == event.project, Job.event == event.id)
            .where(Job.function == FUNCTION, Job.state.not_in(_OVER))
            .order_by(Job.created_ms.desc(), Job.id.desc())
            .limit(1)
        )
        return (await self._session.scalars(query)).one_or_none()


def replay_out(job: Job, links: Links) -> ReplayOut:
    key = str(job.params.get("key", ""))
    return ReplayOut(
        key=key,
        viewer_url=links.viewed(key),
        job=job.id,
        state=job.state,
        error=job.error,
        created_at=required_at(job.created_ms),
    )


def _require_timeline(event: Event, wanted: Replay) -> None:
    if event.started_ms is None:
        raise Conflict(
            f"event {event.id} was never live; it has no timeline",
            "Store the replay when the event is over, or while it is live.",
        )
    if wanted.entries and wanted.entries[-1].at_ms < event.started_ms:
        raise Invalid(
            "every entry lies before the event's first picture; nobody would see any",
            "Send at_ms as Unix milliseconds, between started_at and ended_at of the event.",
        )
