"""Tells dispatchers over the bus that a job was filed, so that none waits for the next sweep.

Invariant: a ring says nothing but "look"; one that is lost costs a second, because dispatchers look
every second anyway. Rings in quick succession are one. Upstream: the control API after a commit.
Downstream: `coldpath.dispatch`.
"""

import asyncio
from collections.abc import AsyncGenerator

import structlog
from redis.asyncio import Redis

from infra.errors import BusUnavailable
from infra.events.bus import MAX_BLOCK_MS, Backoff, bus_errors

_log = structlog.get_logger(__name__)

CHANNEL = "livepath:jobs"


class Bell:
    """The ringing side; `run` belongs to the process's task group."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def run(self) -> None:
        """Until it is cancelled. A bus that is away is not waited for: the sweep does the work."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                async with bus_errors():
                    await self._client.publish(CHANNEL, "")
            except BusUnavailable as error:
                _log.debug("nobody was told of a new job", error=str(error))


async def rings(client: Redis) -> AsyncGenerator[None]:
    """One item for each ring, without end; after an outage also one, for what was missed."""
    backoff = Backoff()
    while True:
        try:
            async with client.pubsub() as channel:
                async with bus_errors():
                    await channel.subscribe(CHANNEL)
                yield None
                while True:
                    async with bus_errors():
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=MAX_BLOCK_MS / 1000
                        )
                    backoff.reset()
                    if message is not None:
                        yield None
        except BusUnavailable as error:
            _log.debug("no rings from the bus", error=str(error))
            await asyncio.sleep(backoff.pause())
