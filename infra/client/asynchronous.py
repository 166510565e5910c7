"""Carries calls out in an asyncio loop. Upstream: `infra.client.client.AsyncClient`."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx2

from infra.client.attempts import Answer, Attempts, settle
from infra.client.blocking import request_id
from infra.client.calls import Call, M, Prepared, Wait, prepare
from infra.client.errors import WaitedInVain
from infra.client.following import PATH, SILENCE_S, Following, Place
from infra.client.listings import AwaitedListing
from infra.client.models import Message, Page
from infra.client.retries import Retries


class AwaitedWire:
    """A pool of connections to one API."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        retries: Retries,
        timeout_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.http = http
        self._retries = retries
        self._timeout_s = timeout_s
        self._sleep = sleep

    async def run(self, call: Call[M]) -> M:
        sent = prepare(call, request_id(), secrets.token_hex(16))
        attempts = Attempts(self._retries, time.monotonic(), self._timeout_s)
        number = 1
        while True:
            came = await self._attempt(sent, attempts.left_s(time.monotonic()))
            pause = attempts.pause_s(
                number,
                came,
                repeatable=sent.repeatable,
                now_s=time.monotonic(),
                chance=random.random(),  # noqa: S311 - only spreads clients
            )
            if pause is None:
                return settle(call, sent, came)
            await self._sleep(pause)
            number += 1

    def pages(self, call: Call[Page[M]]) -> AwaitedListing[M]:
        return AwaitedListing(self.run, call)

    async def wait(self, wait: Wait[M]) -> M:
        until = time.monotonic() + wait.timeout_s
        while True:
            found = await self.run(wait.call)
            if wait.seen is not None:
                wait.seen(found)
            if wait.done(found):
                return found
            if time.monotonic() + wait.every_s > until:
                raise WaitedInVain(f"waited {wait.timeout_s:g} s for {wait.what}")
            await self._sleep(wait.every_s)

    async def follow(self, following: Following) -> AsyncGenerator[Message, None]:
        place = Place(following, self._retries, request_id())
        timeout = httpx2.Timeout(self._timeout_s, read=SILENCE_S)
        while True:
            lost: Answer | httpx2.RequestError | None = None
            try:
                async with self.http.stream(
                    "GET", PATH, params=following.query, headers=place.headers, timeout=timeout
                ) as response:
                    if response.is_success:
                        async for heard in httpx2.EventSource(response):
                            message = place.take(heard)
                            if message is not None:
                                yield message
                    else:
                        body = await response.aread()
                        lost = Answer(response.status_code, response.headers, body)
            except httpx2.RequestError as error:
                lost = error
            pause = place.pause_s(lost, random.random())  # noqa: S311 - only spreads clients
            await self._sleep(pause)

    async def _attempt(self, sent: Prepared, left_s: float) -> Answer | httpx2.RequestError:
        try:
            async with asyncio.timeout(left_s):
                response = await self.http.request(
                    sent.method,
                    sent.path,
                    params=sent.query,
                    content=sent.content,
                    headers=sent.headers,
                    timeout=left_s,
                )
                return Answer(response.status_code, response.headers, response.content)
        except TimeoutError:
            return httpx2.ReadTimeout("the answer took too long")
        except httpx2.RequestError as error:
            return error
