"""Which application of the media port answers which path."""

import asyncio
from typing import Any

import pytest

from hotpath.hls.exchange import Application, Request
from hotpath.node.front import TOKEN, Front


class App:
    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)


class Origin(App, Application):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def receive(self, request: Request) -> bool:
        self.requests.append(request)
        return True


async def led(path: str) -> tuple[str, Any]:
    origin, whep, whip = Origin(), App(), App()
    apps: dict[str, App] = {"origin": origin, "whep": whep, "whip": whip}
    front = Front(origin, whep, whip)
    await front({"type": "http", "path": path, "raw_path": path.encode()}, None, None)  # type: ignore[arg-type]
    found = [(name, app.scopes[0]) for name, app in apps.items() if app.scopes]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("/live/default/ev_1/main/index.m3u8", "origin"),
        ("/t/TOKEN/live/default/ev_1/main/index.m3u8", "origin"),
        ("/live/default/ev_1/main/whep", "whep"),
        ("/live/default/ev_1/main/whep/s1/events", "whep"),
        ("/t/TOKEN/live/default/ev_1/main/whep", "whep"),
        ("/whip/ev_1", "whip"),
        ("/whip/ev_1/s1", "whip"),
        ("/live/default/whep/main/index.m3u8", "origin"),
        ("/live/default/ev_1/whep", "origin"),
        ("/whep", "origin"),
        ("/whip", "origin"),
        ("/metrics", "origin"),
        ("/", "origin"),
    ],
)
async def test_every_path_has_one_application(path: str, app: str) -> None:
    assert (await led(path))[0] == app


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/live/default/ev_1/main/index.m3u8", True),
        ("/live/default/whep/main/index.m3u8", True),
        ("/t/TOKEN/live/default/ev_1/main/whep", False),
        ("/whip/ev_1", False),
    ],
)
def test_what_is_not_the_origins_is_left_to_asgi(path: str, taken: bool) -> None:
    origin = Origin()
    request = Request("GET", path, "", {}, lambda _: None)
    assert Front(origin, App(), App()).receive(request) is taken
    assert origin.requests == ([request] if taken else [])


async def test_whep_gets_the_token_beside_the_path() -> None:
    _, scope = await led("/t/TOKEN/live/default/ev_1/main/whep")
    assert scope[TOKEN] == "TOKEN"
    assert scope["path"] == "/live/default/ev_1/main/whep"
    assert scope["raw_path"] == b"/live/default/ev_1/main/whep"


async def test_without_a_token_prefix_whep_gets_none() -> None:
    _, scope = await led("/live/default/ev_1/main/whep")
    assert scope[TOKEN] is None


@pytest.mark.parametrize("path", ["/whip/ev_1", "/live/default/ev_1/main/whep"])
async def test_a_body_that_does_not_come_is_not_waited_for_at_the_stop(path: str) -> None:
    got: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"v", "more_body": True}])

    async def receive() -> Any:
        for message in messages:
            return message
        return await asyncio.Event().wait()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while not got or got[-1]["type"] != "http.disconnect":
            got.append(await receive())

    front = Front(Origin(), reads, reads)
    scope = {"type": "http", "method": "POST", "path": path}
    request = asyncio.create_task(front(scope, receive, None))  # type: ignore[arg-type]
    while not got:
        await asyncio.sleep(0)
    front.stop()
    async with asyncio.timeout(5):
        await request
    assert [message["type"] for message in got] == ["http.request", "http.disconnect"]
