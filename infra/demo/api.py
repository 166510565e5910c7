"""The few calls of the public API that the demo makes, as any client would make them."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import httpx2

from infra.demo.errors import ApiFailed, DemoError

POLL_S = 0.25
JOB_OVER = frozenset({"succeeded", "dead", "cancelled"})


class Api:
    """`client` has the control API as base URL and carries the API key."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def create_event(
        self, name: str, access: str = "public", renditions: Sequence[str] = ()
    ) -> dict[str, Any]:
        wanted = {"name": name, "access": access, "renditions": list(renditions)}
        return await self._call("POST", "/v1/events", json=wanted)

    async def event(self, event: str) -> dict[str, Any]:
        return await self._call("GET", f"/v1/events/{event}")

    async def end_event(self, event: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/events/{event}/end")

    async def assets(self, event: str) -> list[dict[str, Any]]:
        body = await self._call("GET", f"/v1/events/{event}/assets")
        items: list[dict[str, Any]] = body["items"]
        return items

    async def wait_for_asset(self, event: str, kind: str, timeout_s: float) -> dict[str, Any]:
        """The first of this kind; raises `DemoError` when it takes long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    for asset in await self.assets(event):
                        if asset["kind"] == kind:
                            return asset
                    await asyncio.sleep(POLL_S)
        raise DemoError(f"after {timeout_s:g} s the event has no {kind} among its assets")

    async def request_clip(self, event: str, start: float, end: float) -> dict[str, Any]:
        """An exact clip; seconds on the recording."""
        wanted = {"start": start, "end": end, "mode": "exact", "title": "A clip of the demo"}
        return await self._call("POST", f"/v1/events/{event}/clips", json=wanted)

    async def clip(self, event: str, clip: str) -> dict[str, Any]:
        return await self._call("GET", f"/v1/events/{event}/clips/{clip}")

    async def recording(self, event: str) -> dict[str, Any]:
        """What a viewer's player is told of it."""
        return await self._call("GET", f"/v1/playback/{event}/recording")

    async def page(self, url: str) -> str:
        """A page that people open."""
        response = await self._client.get(url)
        if response.is_error:
            raise ApiFailed(f"GET {url} answered {response.status_code}")
        return response.text

    async def jobs(self, event: str) -> list[dict[str, Any]]:
        body = await self._call("GET", f"/v1/jobs?event={event}")
        items: list[dict[str, Any]] = body["items"]
        return items

    async def jobs_at_rest(self, event: str, timeout_s: float) -> list[dict[str, Any]]:
        """The event's jobs when all of them are over; after `timeout_s`, as they are then."""
        jobs = await self.jobs(event)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(job["state"] not in JOB_OVER for job in jobs):
                    await asyncio.sleep(POLL_S)
                    jobs = await self.jobs(event)
        return jobs

    async def wait_for_state(
        self, event: str, states: Collection[str], timeout_s: float
    ) -> dict[str, Any]:
        """The event once its state is one of `states`; raises `DemoError` when that takes long."""
        state = "unknown"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = await self.event(event)
                    state = found["state"]
                    if state in states:
                        return found
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            wanted = " or ".join(sorted(states))
            raise DemoError(
                f"the event was still {state} after {timeout_s:g} s instead of {wanted}"
            ) from None

    async def _call(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, json=json)
        except httpx2.TransportError as error:
            raise ApiFailed(f"{method} {path}: {type(error).__name__} {error}") from error
        if response.is_error:
            raise ApiFailed(f"{method} {path} answered {response.status_code}: {response.text}")
        body: dict[str, Any] = response.json()
        return body
