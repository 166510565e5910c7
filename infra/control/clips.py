"""What the API does with clips: each is a job of a clip function and, when it is done, an asset.

A clip has no row of its own: its id is that of its job with another prefix. None of this commits.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.clip_schemas import (
    FUNCTIONS,
    ClipCreate,
    ClipOut,
    clip_out,
    job_of,
    ms_of,
)
from infra.control.context import ControlContext
from infra.control.job_schemas import JobCreate
from infra.control.jobs import JobService
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, Invalid, NotFound
from infra.control.service import EventService
from infra.control.views import asset_out
from infra.db.control import OPEN_STATES, Event, Fact
from infra.db.jobs import Asset, Job
from infra.events.facts import FactType
from infra.jobs.clip_request import MAX_CLIP_MS, ClipClock, ClipRequest
from infra.jobs.filing import OwnKey
from infra.keys import is_name
from infra.lifecycle import EventState

CLOCKS_APART_MS = 2_000
"""What the clock of a media node may be ahead of ours."""
_FILES = {"video/mp4": "clip.mp4"}
"""Names to save under, by content type."""


class ClipService:
    """Clips of one project's events, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._context = context
        self._events = EventService(session, context, project)
        self._jobs = JobService(session, context, project)

    async def create(
        self, event_id: str, wanted: ClipCreate, key: OwnKey | None
    ) -> tuple[Job, bool]:
        """The job that makes the clip, and whether it is new."""
        event = await self._events.get(event_id)
        request = _checked(event, wanted, self._context.now_ms())
        if request.clock is ClipClock.WALL:
            request = request.model_copy(update={"epoch_ns": await self._epoch_ns(event)})
        job = JobCreate(
            function=FUNCTIONS[wanted.mode], feed="main", params=request.model_dump(mode="json")
        )
        return await self._jobs.request(event_id, job, key)

    async def page(self, event_id: str, page: PageRequest) -> tuple[Sequence[Job], str | None]:
        """Newest first."""
        event = await self._events.get(event_id)
        query = select(Job).where(
            Job.project == event.project,
            Job.event == event.id,
            Job.function.in_(FUNCTIONS.values()),
        )
        return await page_of(self._session, query, Job, page)

    async def get(self, event_id: str, clip: str) -> Job:
        event = await self._events.get(event_id)
        job = await self._session.get(Job, job_of(clip)) if is_name(clip) else None
        is_clip = job is not None and job.function in FUNCTIONS.values()
        if job is None or not is_clip or (job.project, job.event) != (event.project, event.id):
            raise NotFound(
                f"event {event.id} has no clip {clip[:80]!r}",
                f"List its clips with GET /v1/events/{event.id}/clips.",
            )
        return job

    async def shown(self, jobs: Sequence[Job]) -> list[ClipOut]:
        """Each with its asset and a link to it, when it is there."""
        assets = await self._assets(jobs)
        made = list(assets.values())
        presigner = self._context.presigner
        # A browser saves a file and plays a playlist.
        urls = await presigner.urls([(a.key, _FILES.get(a.content_type)) for a in made])
        expires_ms = self._context.now_ms() + presigner.expires_s * 1000
        links = self._context.links
        linked = {
            a.key: asset_out(a, links, url, expires_ms) for a, url in zip(made, urls, strict=True)
        }
        return [clip_out(job, linked.get(_key_of(job))) for job in jobs]

    async def _epoch_ns(self, event: Event) -> int | None:
        """Where the event's timeline begins; media nodes say it when they go live."""
        query = (
            select(Fact)
            .where(
                Fact.project == event.project,
                Fact.event == event.id,
                Fact.type == FactType.PROGRAM_LIVE.value,
            )
            .order_by(Fact.at_ms.desc())
            .limit(1)
        )
        fact = await self._session.scalar(query)
        said = None if fact is None else fact.detail.get("epoch_ns")
        return said if isinstance(said, int) and said >= 0 else None

    async def _assets(self, jobs: Sequence[Job]) -> dict[str, Asset]:
        """By key. Two jobs may have made the same object."""
        keys = [key for job in jobs if (key := _key_of(job))]
        if not keys:
            return {}
        found = await self._session.scalars(select(Asset).where(Asset.key.in_(keys)))
        return {asset.key: asset for asset in found}


def _key_of(job: Job) -> str:
    """Of the clip's object; empty until it is there."""
    return str(next(iter(job.outputs.get("keys", ())), ""))


def _checked(event: Event, wanted: ClipCreate, now_ms: int) -> ClipRequest:
    if event.started_ms is None:
        raise Conflict(
            f"event {event.id} was never live; there is nothing to clip",
            "Ask for a clip once its first picture was published.",
        )
    if not event.recording:
        raise Conflict(
            f"event {event.id} is not recorded; there is nothing to clip",
            "Create events with recording true to make clips of them.",
        )
    on_the_clock = isinstance(wanted.start, datetime)
    if on_the_clock != isinstance(wanted.end, datetime):
        raise Invalid(
            "start and end have different forms", "Send both as date-times, or both as seconds."
        )
    start_ms, end_ms = ms_of(wanted.start), ms_of(wanted.end)
    _require_length(start_ms, end_ms)
    if on_the_clock:
        _require_on_air(event, event.started_ms, start_ms, end_ms, now_ms)
    elif EventState(event.state) in OPEN_STATES:
        raise Conflict(
            f"event {event.id} is {event.state}; seconds count on its recording, which is there "
            "when it is over",
            "Send start and end as date-times.",
        )
    return ClipRequest(
        clock=ClipClock.WALL if on_the_clock else ClipClock.RECORDING,
        start_ms=start_ms,
        end_ms=end_ms,
        title=wanted.title,
    )


def _require_length(start_ms: int, end_ms: int) -> None:
    if end_ms <= start_ms:
        raise Invalid("the clip would end before it starts", "Send an end after the start.")
    if end_ms - start_ms > MAX_CLIP_MS:
        raise Invalid(
            f"the clip would be {(end_ms - start_ms) // 1000} s long; "
            f"{MAX_CLIP_MS // 1000} are allowed",
            "Ask for several clips.",
        )


def _require_on_air(event: Event, started_ms: int, start_ms: int, end_ms: int, now_ms: int) -> None:
    if end_ms > now_ms + CLOCKS_APART_MS:
        raise Invalid(
            "the clip would end in the future", "Ask for it when its last picture was published."
        )
    if end_ms <= started_ms - CLOCKS_APART_MS:
        raise Invalid(
            f"event {event.id} was not live yet when the clip would end",
            "Send times between started_at and ended_at of the event.",
        )
    if event.ended_ms is not None and start_ms >= event.ended_ms + CLOCKS_APART_MS:
        raise Invalid(
            f"event {event.id} was over when the clip would start",
            "Send times between started_at and ended_at of the event.",
        )
