"""A real Varnish in front of a programme that the test controls, and viewers with tokens.

Varnish takes a second to start, so a module's tests share one; origins come and go behind it, on
the one port it knows.
"""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
from tests.support.missing import missing
from tests.support.on_air import KEY, LIVE, OnAir, on_air, running
from tests.support.plain_http import NO_TLS
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

    def token(
        self, viewer: str, *, event: str = KEY.event, lasts_s: int = 3600, **more: Any
    ) -> str:
        now = self.clock.now
        prefix = f"/live/{KEY.project}/{event}"
        claims = ViewerClaims(
            KEY.project, event, prefix, viewer, now, now + lasts_s, viewer, **more
        )
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


@contextmanager
def varnish_before_a_port() -> Iterator[tuple[Varnish, int]]:
    """An edge, and the port on which its origin is to be brought up."""
    need_varnish()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with Varnish(Origin(f"http://127.0.0.1:{port}", SECRET), exact=True) as varnish:
        yield varnish, port


def need_varnish() -> None:
    try:
        program("varnishd")
    except VarnishMissing:
        pytest.skip(missing("Varnish"))


@asynccontextmanager
async def behind(
    varnish: Varnish, port: int, access: str = "token", *, captions: bool = False
) -> AsyncIterator[EdgeUnderTest]:
    """A programme that has been loaded and not begun; nothing of an earlier one is cached."""
    varnish.forget()
    clock = Clock()
    origin = HlsOrigin(clock_s=clock, captions=captions)
    origin.set_access({KEY.project: {"k1": SIGNED}}, {KEY.event: access})
    requests = Counted(Edge(origin, SECRET, CHECK_S))
    server = HlsServer(requests, "127.0.0.1", port, before_stop=origin.stop)
    async with on_air(origin=origin, access=access) as (programme, _), running(server) as url:
        programme.load(marked(coded()))
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=varnish.url, timeout=30, limits=limits, verify=NO_TLS
        ) as client:
            yield EdgeUnderTest(programme, varnish, client, url, requests, clock)
