"""One event over the stream and the API, for a screen.

Two tasks share the screen. One listens to the stream, which goes on behind the last message where a
connection was lost; one asks for the event whenever something was heard, and every few seconds, so
that what is shown is true also where nothing is told of it. It ends when the event comes to one of
the wanted states.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta

from rich.live import Live

from infra.cli.screens import Found, JsonLines, Lines, Picture, Screen
from infra.client import AsyncClient, Forbidden, RateLimited, Unavailable, Unreachable
from infra.client.models import Event, Job, Reading

EVERY_S = 5.0
GRACE_S = 3.0
"""So long after the event was seen in the last state its message is waited for."""
ON_AIR = ("live", "reconnecting")
FRESH = timedelta(seconds=60)
_JOBS = 20


async def follow(
    client: AsyncClient, event: str, until: Collection[str], after: str | None, *, as_json: bool
) -> None:
    """Until the event is in one of the states, on whatever standard output is."""
    async with client, _screen(as_json) as screen:
        await Watching(client, event, screen, until, after).run()


@contextlib.asynccontextmanager
async def _screen(as_json: bool) -> AsyncIterator[Screen]:
    def complain(reason: str) -> None:
        print(f"livepath: {reason}", file=sys.stderr, flush=True)

    if as_json or not sys.stdout.isatty():
        yield JsonLines(complain) if as_json else Lines(complain)
        return
    picture = Picture()
    with Live(get_renderable=picture.draw, refresh_per_second=2):
        yield picture


class Watching:
    """One event, until it is in one of the states."""

    def __init__(
        self,
        client: AsyncClient,
        event: str,
        screen: Screen,
        until: Collection[str],
        after: str | None = None,
    ) -> None:
        self._client = client
        self._event = event
        self._screen = screen
        self._until = until
        self._after = after
        self._changed = asyncio.Event()
        self._told = asyncio.Event()
        """The message of the last state was heard."""

    async def run(self) -> None:
        """Raises what the client raises: it can not go on."""
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(), name="stream")
                await self._look_on()
                listening.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _listen(self) -> None:
        ends = {f"event.{state}" for state in self._until}
        async with contextlib.aclosing(
            self._client.stream(event=self._event, last_event_id=self._after)
        ) as messages:
            async for message in messages:
                self._screen.heard(message)
                self._changed.set()
                if message.type in ends:
                    self._told.set()

    async def _look_on(self) -> None:
        first = True
        while not await self._is_over():
            first = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._changed.wait()
            self._changed.clear()
        if not first:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await self._told.wait()

    async def _is_over(self) -> bool:
        try:
            event = await self._client.events.get(self._event)
            found = Found(event, await self._newest_jobs(), await self._reading(event))
        except (RateLimited, Unavailable, Unreachable) as error:
            self._screen.lost(f"{error}; it is tried again")
            return False
        self._screen.found(found)
        return event.state in self._until

    async def _newest_jobs(self) -> list[Job]:
        found = []
        with contextlib.suppress(Forbidden):
            async for job in self._client.jobs.list(event=self._event, page_size=_JOBS):
                found.append(job)
                if len(found) == _JOBS:
                    break
        return found

    async def _reading(self, event: Event) -> Reading | None:
        found: list[Reading] = []
        if event.state in ON_AIR:
            since = datetime.now(UTC) - FRESH
            # While the bus is away nobody knows, and the event goes on.
            with contextlib.suppress(Forbidden, Unavailable):
                readings = self._client.overview.readings(event.id, since=since)
                found = [reading async for reading in readings]
        return found[-1] if found else None
