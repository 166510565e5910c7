"""Listens to what workers heard in live programmes.

Invariant: nothing here waits for them: an outage costs captions, and nothing else. Upstream: the
bus, from `coldpath`. Downstream: `HlsOrigin.hear`.
"""

from collections.abc import Callable

from infra.events.bus import connect
from infra.events.captions import HeardWindow, heard


class CaptionsListener:
    """Make it, then `run` it as a task."""

    def __init__(self, bus_url: str, hear: Callable[[HeardWindow], None]) -> None:
        self._url = bus_url
        self._hear = hear

    async def run(self) -> None:
        """Until it is cancelled."""
        client = connect(self._url)
        try:
            async for window in heard(client):
                self._hear(window)
        finally:
            await client.aclose()
