"""A request and its response, between an HTTP server and the application that answers it.

Invariant: an application that takes a request answers it once, at once or later, unless the server
has told it that the client is gone. Nothing here waits: an exchange costs no task and no future.
Upstream: the HTTP server. Downstream: `edge`, `origin`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, runtime_checkable

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out. Built once for all who get the same."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    head: bytes = field(init=False, repr=False, compare=False)
    """Status line and headers as HTTP/1.1 has them, without the empty line."""

    def __post_init__(self) -> None:
        lines = [b"HTTP/1.1 %d %s\r\n" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"%s: %s\r\n" % header for header in self.headers]
        object.__setattr__(self, "head", b"".join(lines))


class Request:
    """What came in, without its body, and the way back."""

    __slots__ = ("client", "edge", "headers", "left", "method", "path", "query", "respond")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[bytes, bytes],
        respond: Callable[[Response], None],
        *,
        client: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        """By lower-case name."""
        self.respond = respond
        self.client = client
        """Address of whoever has the connection; empty: not known."""
        self.left: Callable[[], object] | None = None
        """To be called by the server when the client goes before it was answered."""
        self.edge = False
        """An edge asks, which has had its viewer checked."""


@runtime_checkable
class Direct(Protocol):
    """An application that answers some requests without ASGI."""

    def receive(self, request: Request) -> bool:
        """Take the request and answer it; False: it wants to have it as ASGI."""
        ...


class Application(ABC):
    """Answers every request directly; an ASGI application for servers that know no better."""

    @abstractmethod
    def receive(self, request: Request) -> bool: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = await self._answered(scope, receive)
        if response is None:
            return
        headers = list(response.headers)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": False})

    async def _answered(self, scope: Scope, receive: Receive) -> Response | None:
        """None: the client went first."""
        found: list[Response] = []
        query = scope["query_string"].decode("latin-1")
        headers = by_name(scope["headers"])
        client = scope.get("client")
        host = str(client[0]) if client else ""
        request = Request(scope["method"], scope["path"], query, headers, found.append, client=host)
        self.receive(request)
        return found[0] if found else await _later(request, receive)


async def _later(request: Request, receive: Receive) -> Response | None:
    """The answer of who has to wait for it."""
    loop = asyncio.get_running_loop()
    later: asyncio.Future[Response | None] = loop.create_future()

    def answer(response: Response | None) -> None:
        if not later.done():
            later.set_result(response)

    request.respond = answer
    # A server may not cancel what nobody waits for: HTTP/2 ends a stream and keeps its connection.
    watching = loop.create_task(_until_gone(receive))
    watching.add_done_callback(lambda _: answer(None))
    response: Response | None = None
    try:
        response = await later
    finally:
        watching.cancel()
        if response is None and request.left is not None:
            request.left()
    return response


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def by_name(headers: Iterable[Header]) -> Mapping[bytes, bytes]:
    """RFC 9110 5.3: fields of the same name are one list."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = value if name not in found else found[name] + b", " + value
    return found
