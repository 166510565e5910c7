"""The control channel of a viewer of the plane, read over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fanout import Plane, Watching, until


@asynccontextmanager
async def listening(
    plane: Plane, viewer: Watching
) -> AsyncIterator["asyncio.Queue[tuple[str, dict[str, Any]] | None]"]:
    """What comes over a session's channel: (name, data), ("", {}) for comments, None at its end."""
    channel = plane.service.sessions[viewer.session_id].channel
    got: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()

    async def read() -> None:
        name = ""
        async with plane.client.stream("GET", f"{viewer.url}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["access-control-allow-origin"] == "*"
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    got.put_nowait((name, json.loads(line[6:])))
                elif line.startswith(":"):
                    got.put_nowait(("", {}))
        got.put_nowait(None)

    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(read())
        await until(lambda: channel.listened)
        yield got
        reader.cancel()
