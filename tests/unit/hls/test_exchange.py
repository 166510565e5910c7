"""A request and its response, by ASGI where the server knows nothing else."""

import asyncio
from typing import Any

from hotpath.hls.exchange import Application, Request, Response, by_name

FOUND = Response(200, ((b"content-type", b"text/plain"), (b"content-length", b"3")), b"abc")


class Later(Application):
    """Answers when the test does."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.left = 0

    def receive(self, request: Request) -> bool:
        self.requests.append(request)
        request.left = self._leave
        return True

    def _leave(self) -> None:
        self.left += 1


class Now(Application):
    def receive(self, request: Request) -> bool:
        request.respond(FOUND)
        return True


def asking(
    application: Application, gone: asyncio.Event | None = None
) -> "tuple[asyncio.Task[None], list[Any]]":
    """`gone`: the client is, but its connection stays; as HTTP/2 resets a stream."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    headers = [(b"accept", b"a"), (b"accept", b"b")]
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"y=1"}
    call = application({**scope, "headers": headers}, receive, send)
    return asyncio.ensure_future(call), sent


def test_the_head_as_http_1_1_has_it() -> None:
    assert FOUND.head == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n"


def test_fields_of_one_name_are_one_list() -> None:
    found = by_name([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert found == {b"a": b"1, 3", b"b": b"2"}


async def test_an_answer_at_once() -> None:
    task, sent = asking(Now())
    await task
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[0]["headers"]) == (200, list(FOUND.headers))
    assert (sent[1]["body"], sent[1]["more_body"]) == (b"abc", False)


async def test_an_answer_later() -> None:
    application = Later()
    task, sent = asking(application)
    await asyncio.sleep(0)
    (request,) = application.requests
    assert (request.method, request.path, request.query) == ("GET", "/x", "y=1")
    assert request.headers == {b"accept": b"a, b"}
    assert not sent
    request.respond(FOUND)
    await task
    assert sent[0]["status"] == 200
    assert application.left == 0


async def test_a_client_that_goes_first() -> None:
    application = Later()
    task, sent = asking(application)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert application.left == 1
    application.requests[0].respond(FOUND)
    assert not sent


async def test_a_client_that_goes_first_and_whose_task_nobody_cancels() -> None:
    application, gone = Later(), asyncio.Event()
    task, sent = asking(application, gone)
    await asyncio.sleep(0)
    assert application.left == 0
    gone.set()
    await task
    assert application.left == 1
    application.requests[0].respond(FOUND)
    assert not sent


async def test_other_kinds_of_scope_are_no_request() -> None:
    await Now()({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
