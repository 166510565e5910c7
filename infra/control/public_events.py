"""Everything that tells clients of public events, wired together: one `run()` of a control process.

relay ──► webhooks' dispatcher ──► sender
  └─────► listeners of the stream
"""

import asyncio
from collections.abc import Callable

from infra.control.context import Databases
from infra.control.streaming import Streams
from infra.outbox.relay import Relay
from infra.settings import ControlSettings
from infra.webhooks.deliveries import owe
from infra.webhooks.dispatcher import DispatchLimits, WebhookDispatcher
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.sending import Sender


class PublicEvents:
    """`ring` when something may have been recorded; `close` after `run` has ended."""

    def __init__(
        self, databases: Databases, settings: ControlSettings, now_ms: Callable[[], int]
    ) -> None:
        self.guard = Guard(Allowed(settings.webhook_http, settings.webhook_private))
        self.streams = Streams(databases.reading)
        self._sender = Sender(self.guard)
        self._dispatcher = WebhookDispatcher(
            Relay(databases.writing, databases.reading, owe, self.streams.ring, now_ms),
            databases.writing,
            databases.reading,
            self._sender,
            now_ms,
            limits=DispatchLimits(keep_days=settings.public_events_days),
        )

    def ring(self) -> None:
        self._dispatcher.ring()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run(), name="webhooks")
            group.create_task(self.streams.run(), name="stream")

    async def close(self) -> None:
        self.guard.close()
        await self._sender.close()
