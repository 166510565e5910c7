"""`/v1/stream`: public events of the project as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from infra.control.callers import Caller
from infra.control.context import ControlContext
from infra.control.dependencies import Context, KeyHolder, TheCaller
from infra.control.problems import Invalid, database_unavailable
from infra.control.streaming import Listener
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.outbox.catalogue import NoticeType, chosen, is_pattern

router = APIRouter(prefix="/v1/stream", tags=["stream"])
GAP = "stream.gap"
RETRY_MS = 2_000
SKIPPED = 100
"""Messages that a filter leaves out before the listener is told how far it has come."""


async def _types(
    types: Annotated[
        str | None,
        Query(
            max_length=1_000,
            description="Only these types, separated by commas: `event.live,asset.*`.",
        ),
    ] = None,
) -> frozenset[NoticeType] | None:
    if types is None:
        return None
    patterns = [part.strip() for part in types.split(",")]
    unknown = [pattern for pattern in patterns if not is_pattern(pattern)]
    if unknown:
        raise Invalid(f"types: no type is called {unknown[0][:64]!r}", "Use a type, group.* or *.")
    return chosen(patterns)


class _Place:
    """Holds the listener of a request until its response has ended."""

    def __init__(self, context: ControlContext) -> None:
        self._context = context
        self._listener: Listener | None = None

    async def take(self, caller: Caller, sequence: int | None) -> Listener:
        try:
            self._listener = await self._context.streams.join(caller.project, sequence)
        except DATABASE_ERRORS as error:
            if is_outage(error):
                raise database_unavailable() from error
            raise
        self._context.held_open.add(caller, self._listener)
        return self._listener

    def give_back(self) -> None:
        if self._listener is not None:
            self._context.held_open.discard(self._listener)
            self._context.streams.leave(self._listener)


async def _place(context: Context) -> AsyncIterator[_Place]:
    place = _Place(context)
    try:
        yield place
    finally:
        place.give_back()


async def _listener(
    _alone: KeyHolder,
    caller: TheCaller,
    place: Annotated[_Place, Depends(_place, scope="request")],
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^\d{1,15}$",
            description="The stream goes on behind this; browsers send it by themselves.",
        ),
    ] = None,
) -> Listener:
    return await place.take(caller, None if last_event_id is None else int(last_event_id))


@router.get("", response_class=EventSourceResponse, summary="Follow public events")
async def stream(
    context: Context,
    types: Annotated[frozenset[NoticeType] | None, Depends(_types)],
    listener: Annotated[Listener, Depends(_listener, scope="function")],
    event: Annotated[
        str | None, Query(max_length=64, description="Only what is about this event.")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What webhooks get, as it happens: `event` is the type, `data` the message, `id` its number.

    A comment comes every 15 seconds when nothing else does. The stream ends after an hour, or when
    its client is too slow; the client goes on with `Last-Event-ID`. It ends within seconds when its
    key is revoked, expires or is replaced. `stream.gap` says that messages behind that id are no
    longer kept.
    """
    streams = context.streams
    # Sets the id of a client that has none, so that it misses nothing when it comes back.
    yield ServerSentEvent(id=str(listener.sequence), retry=RETRY_MS)
    if listener.missed:
        yield ServerSentEvent(event=GAP, raw_data="{}")
    skipped = 0
    async for message in streams.messages(listener):
        wanted = types is None or message.type in types
        if wanted and event in (None, message.event):
            skipped = 0
            yield ServerSentEvent(
                event=message.type, raw_data=message.json(), id=str(message.sequence)
            )
            continue
        skipped += 1
        if skipped % SKIPPED == 0:
            yield ServerSentEvent(id=str(message.sequence))
