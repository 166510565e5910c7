"""A real Varnish in front of a programme that the test controls, and viewers with tokens.

async with behind_varnish() as edge:
    await edge.programme.publish_until(1, 0)
    await edge.client.get(edge.path("anna", "video.m3u8"))
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from edge.varnish import Origin, Varnish, VarnishMissing, program
from hotpath.hls.edge import CHECK, Edge
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer
from infra.auth.tokens import ViewerClaims, issue
from tests.support.coded import coded, marked
from tests.support.on_air import KEY, LIVE, OnAir, on_air, running
from tests.support.processes import until

SECRET = "the-secret-of-a-test"
SIGNED = b"s" * 32
CHECK_S = 1


@dataclass
class Counted:
    """An application that notes what reaches it."""

    app: Any
    seen: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        query = scope.get("query_string", b"").decode()
        self.seen.append(scope["path"] + (f"?{query}" if query else ""))
        await self.app(scope, receive, send)

    @property
    def media(self) -> list[str]:
        """All but the questions about viewers."""
        return [path for path in self.seen if not path.startswith(CHECK)]


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class EdgeUnderTest:
    programme: OnAir
    varnish: Varnish
    client: httpx2.AsyncClient
    origin_url: str
    requests: Counted
    clock: Clock

    def token(self, viewer: str, *, event: str = KEY.event, lasts_s: int = 3600) -> str:
        now = self.clock.now
        prefix = f"/live/{KEY.project}/{event}"
        claims = ViewerClaims(KEY.project, event, prefix, viewer, now, now + lasts_s, viewer)
        return issue(claims, SIGNED, "k1")

    def path(self, viewer: str, name: str) -> str:
        return f"/t/{self.token(viewer)}{LIVE}{name}"

    def revoke(self) -> None:
        """Take the key back with which all tokens were signed."""
        self.programme.origin.set_access({KEY.project: {}}, {KEY.event: "token"})

    async def sleeping(self, count: int) -> None:
        """Until so many requests have been put to sleep behind another's fetch, in all."""

        def enough() -> bool:
            return self.varnish.counter("MAIN.busy_sleep") >= count

        await until(f"{count} requests wait for another's answer", enough)


def need_varnish() -> None:
    try:
        program("varnishd")
    except VarnishMissing as error:
        pytest.skip(f"{error}")


@asynccontextmanager
async def entered(context: AbstractContextManager[Varnish]) -> AsyncIterator[Varnish]:
    """Started and stopped beside the loop, which serves the origin."""
    entered = await asyncio.to_thread(context.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def behind_varnish(access: str = "token") -> AsyncIterator[EdgeUnderTest]:
    """A programme that has been loaded and not begun."""
    need_varnish()
    clock = Clock()
    origin = HlsOrigin(clock_s=clock)
    origin.set_access({KEY.project: {"k1": SIGNED}}, {KEY.event: access})
    requests = Counted(Edge(origin, SECRET, CHECK_S))
    server = HlsServer(requests, "127.0.0.1", 0, before_stop=origin.stop)
    async with on_air(origin=origin, access=access) as (programme, _), running(server) as url:
        programme.load(marked(coded()))
        async with entered(Varnish(Origin(url, SECRET))) as varnish:
            limits = httpx2.Limits(max_connections=None)
            async with httpx2.AsyncClient(
                base_url=varnish.url, timeout=30, limits=limits
            ) as client:
                yield EdgeUnderTest(programme, varnish, client, url, requests, clock)
