"""What the API does with events. Every query is scoped to a project; nothing here commits.

A change that media nodes must learn of raises the event's revision; the publisher does the rest.
"""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth import tokens
from infra.auth.jws import HS256
from infra.auth.kids import newest_of
from infra.auth.signing import private_key
from infra.auth.streamkeys import whip_token
from infra.auth.tokens import SigningKey, ViewerClaims
from infra.control.context import ControlContext
from infra.control.event_changes import (
    BEFORE_LIVE,
    change,
    look_again,
    new_event,
    timetable_of,
)
from infra.control.event_schemas import EventCreate, EventPatch
from infra.control.event_search import EventSearch
from infra.control.ids import new_id
from infra.control.ingest_schemas import KeyRotation
from infra.control.paging import PageRequest, page_of
from infra.control.problems import BadPublishToken, Conflict, Invalid, NotFound
from infra.control.project_secrets import NOT_OVER, kid_for_streams
from infra.control.revoked import changes_of, revoked_of
from infra.control.signing import SigningKeyService
from infra.control.viewer_schemas import TokenCreate
from infra.control.viewer_tokens import claims_of
from infra.control.views import SecretRing
from infra.db.control import OPEN_STATES, UNSEEN, Event, Fact
from infra.db.events_state import advance_event
from infra.db.jobs import BROKEN, Function
from infra.events.facts import FactType
from infra.keys import is_name
from infra.lifecycle import WAITING, Actor, EventState, Trigger
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record
from infra.telemetry.tracing import current_traceparent, link_to

RECENT = 20
REQUESTED = "request"
"""The trigger of functions that run when a client asks for them."""
NOTICES = (
    FactType.PUBLISHER_CONNECTED,
    FactType.PUBLISHER_LOST,
    FactType.PUBLISHER_SWITCHED,
    FactType.STANDBY_LOST,
    FactType.PUBLISHER_REFUSED,
    FactType.INGEST_WARNING,
    FactType.RECORDING_DEGRADED,
    FactType.RECORDING_RESTORED,
)

# Of every request: built once, for building takes longer than SQLite does.
_EVENT = select(Event).where(Event.id == bindparam("event"), Event.project == bindparam("project"))
_EVENT_LOCKED = _EVENT.with_for_update()
_RECENT = (
    select(Fact)
    .where(Fact.project == bindparam("project"), Fact.event == bindparam("event"))
    .where(Fact.type.in_([kind.value for kind in NOTICES]))
    .order_by(Fact.at_ms.desc(), Fact.id.desc())
    .limit(RECENT)
)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    claims: ViewerClaims
    token: str


class EventService:
    """Events of one project, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._context = context
        self._project = project

    async def create(self, wanted: EventCreate) -> Event:
        await self._require_functions(wanted.cold_functions)
        kid = await kid_for_streams(self._session, self._project)
        event = new_event(wanted, self._project, kid, self._context.now_ms())
        event.traceparent = current_traceparent()
        self._session.add(event)
        await self._session.flush()
        data = {"name": event.name, "state": event.state}
        await self._tell(event, NoticeType.EVENT_CREATED, data)
        return event

    async def get(self, event_id: str, *, for_update: bool = False) -> Event:
        if not is_name(event_id):
            raise event_not_found(event_id)
        query = _EVENT_LOCKED if for_update else _EVENT
        wanted = {"event": event_id, "project": self._project}
        event = await self._session.scalar(query, wanted)
        if event is None:
            raise event_not_found(event_id)
        link_to(event.traceparent)
        return event

    async def page(
        self, page: PageRequest, search: EventSearch
    ) -> tuple[Sequence[Event], str | None]:
        query = search.query(self._project)
        return await page_of(self._session, query, Event, page, search.order)

    async def patch(self, event_id: str, changes: EventPatch) -> Event:
        event = await self.get(event_id, for_update=True)
        await self._require_functions(changes.cold_functions)
        now = self._context.now_ms()
        change(event, changes, now)
        if given := sorted(changes.model_fields_set):
            await self._tell(event, NoticeType.EVENT_UPDATED, {"changed": given})
        opens_ms = timetable_of(event).lobby_at_ms
        if EventState(event.state) is EventState.LOBBY and (opens_ms is None or opens_ms > now):
            await self._advance(event, Trigger.RESCHEDULE)
        return event

    async def schedule(self, event_id: str) -> Event:
        event = await self.get(event_id, for_update=True)
        state = EventState(event.state)
        if state in WAITING:
            return event
        if state is not EventState.DRAFT:
            raise Conflict(f"event {event_id} is {state}, no draft", "Create a new event.")
        return await self._advance(event, Trigger.SCHEDULE)

    async def cancel(self, event_id: str) -> Event:
        event = await self.get(event_id, for_update=True)
        state = EventState(event.state)
        if state is EventState.CANCELLED:
            return event
        if state not in BEFORE_LIVE:
            fix = (
                f"Use POST /v1/events/{event_id}/end to end it."
                if state in OPEN_STATES
                else ("Its recording stays; there is nothing to cancel.")
            )
            raise Conflict(f"event {event_id} is {state}; it is too late to cancel it", fix)
        return await self._advance(event, Trigger.CANCEL)

    async def end(self, event_id: str) -> Event:
        event = await self.get(event_id, for_update=True)
        state = EventState(event.state)
        if state in BEFORE_LIVE | {EventState.CANCELLED}:
            raise Conflict(
                f"event {event_id} was never live, so it cannot end",
                "It is cancelled already."
                if state is EventState.CANCELLED
                else f"Use DELETE /v1/events/{event_id} to cancel it.",
            )
        if state not in OPEN_STATES:
            return event
        return await self._advance(event, Trigger.END)

    async def rotate_key(self, event_id: str, wanted: KeyRotation) -> Event:
        event = await self.get(event_id, for_update=True)
        if EventState(event.state) not in NOT_OVER:
            raise Conflict(
                f"event {event_id} is {event.state}; its stream key opens nothing any more",
                "Create a new event.",
            )
        if wanted.disconnect:
            event.staying_generation = None
        elif event.staying_generation is None:
            event.staying_generation = event.generation
        event.kid = await kid_for_streams(self._session, self._project)
        # It rises from secret to secret as well: publishers that stay are told apart by it.
        event.generation += 1
        event.revision += 1
        event.updated_ms = self._context.now_ms()
        await self._tell(event, NoticeType.EVENT_KEY_ROTATED, {})
        return event

    async def issue_token(self, event_id: str, wanted: TokenCreate) -> IssuedToken:
        event = await self.get(event_id)
        if EventState(event.state) is EventState.CANCELLED:
            raise Conflict(f"event {event_id} is cancelled", "Create a new event.")
        now_ms, subject = self._context.now_ms(), wanted.subject or new_id("vw_")
        revoked = await revoked_of(self._session, event.id, now_ms)
        changes = await changes_of(self._session, event.id, now_ms)
        now = changes.issued_after(subject, revoked.issued_after(subject, now_ms // 1000))
        prefix = self._context.links.path_prefix(self._project, event.id)
        claims = claims_of(event, wanted, subject, prefix, now)
        return IssuedToken(claims, tokens.issue(claims, *await self._signer(event)))

    async def _signer(self, event: Event) -> tuple[SigningKey, str]:
        """What new tokens are signed with, and its kid."""
        if self._context.token_algorithm == HS256:
            secrets = await self.secrets(event.kid)
            kid = newest_of(secrets)
            return secrets[kid], kid
        keys = SigningKeyService(self._session, self._project, self._context.now_ms())
        key = await keys.signer()
        return private_key(key.private), key.id

    async def secrets(self, *kids: str) -> SecretRing:
        """The project's secrets by kid, these among them."""
        now = self._context.now_ms()
        return await self._context.rings.of(self._session, self._project, now, *kids)

    async def recent_facts(self, event_id: str) -> Sequence[Fact]:
        """The last things that nodes reported about the event's publishers, newest first."""
        wanted = {"event": event_id, "project": self._project}
        return (await self._session.scalars(_RECENT, wanted)).all()

    async def _tell(self, event: Event, kind: NoticeType, data: Mapping[str, Any]) -> None:
        notice = Notice(event.project, event.id, kind, data)
        await self._session.run_sync(record, notice, self._context.now_ms())

    async def _advance(self, event: Event, trigger: Trigger) -> Event:
        await self._session.flush()
        now = self._context.now_ms()
        await self._session.run_sync(
            lambda s: advance_event(s, event.id, trigger, now, by=Actor.API)
        )
        look_again(event, now)
        return event

    async def _require_functions(self, names: Collection[str] | None) -> None:
        """What dispatchers have said that they can do; while none has, every name is taken."""
        if not names:
            return
        query = select(Function.name).where(Function.trigger.not_in((REQUESTED, BROKEN)))
        known = set(await self._session.scalars(query))
        if known and (unknown := sorted(set(names) - known)):
            raise Invalid(
                f"there is no function {unknown[0]!r} that runs by itself",
                f"Choose among {', '.join(sorted(known))}; GET /v1/functions describes them.",
            )


def event_not_found(event_id: str) -> NotFound:
    shown = event_id if len(event_id) <= 80 else event_id[:80] + "…"
    return NotFound(
        f"there is no event {shown!r} in this project",
        "List the project's events with GET /v1/events.",
    )


async def event_of_publisher(
    session: AsyncSession, context: ControlContext, event_id: str, token: str
) -> tuple[Event, EventService]:
    """The event that this WHIP token publishes to. A wrong token and a wrong id are told alike."""
    event = await session.get(Event, event_id) if is_name(event_id) else None
    refusal = BadPublishToken(
        "there is no event that this token publishes to; its key may have been replaced",
        "Ask the organiser for the current publishing link.",
    )
    if event is None:
        raise refusal
    service = EventService(session, context, event.project)
    secret = (await service.secrets(event.kid)).get(event.kid)
    if secret is None:
        # It was retired when the event was over.
        raise refusal
    expected = whip_token(secret, event.id, event.kid, event.generation)
    if not hmac.compare_digest(expected.encode(), token.encode(errors="replace")):
        raise refusal
    return event, service


async def public_event(session: AsyncSession, event_id: str) -> Event:
    """An event for its viewers, whatever the project."""
    event = await session.get(Event, event_id) if is_name(event_id) else None
    if event is None or EventState(event.state) in UNSEEN:
        raise NotFound(f"there is no event {event_id[:80]!r}", "Ask the organiser for the link.")
    return event
