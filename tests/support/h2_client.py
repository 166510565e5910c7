"""One HTTP/2 connection: many requests at once, each of which can be reset.

Upstream: h2, which is a protocol without sockets. What a browser does, without a browser.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

FRAME_HEADER = 9
GOAWAY = 7
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Cut(Exception):
    """The stream or its connection ended before the answer was whole."""


@dataclass(slots=True, eq=False)
class Answer:
    """What came on one stream."""

    stream: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: "asyncio.Future[None]" = field(default_factory=asyncio.Future)

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    def __await__(self) -> Generator[Any, None, "Answer"]:
        """Until it is whole; raises `Cut` if it never will be."""
        yield from self.whole
        return self


class Http2Client:
    """Of one connection; made by `http2`."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.url, self.context = url, context
        self._reader, self._writer = reader, writer
        self._pending = b""
        self._ended = False
        self._connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._answers: dict[int, Answer] = {}
        self.told_to_go = False
        """The server takes no more requests (GOAWAY)."""
        self._connection.initiate_connection()
        self._flush()

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] = NO_HEADERS
    ) -> Answer:
        """Send a request; await what is returned for the answer."""
        stream = self._connection.get_next_available_stream_id()
        pseudo = [
            (":method", method),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", path),
        ]
        self._connection.send_headers(stream, [*pseudo, *headers.items()], end_stream=True)
        self._flush()
        answer = self._answers[stream] = Answer(stream)
        if self._ended:
            self._cut(answer, "the connection has ended")
        return answer

    def reset(self, answer: Answer) -> None:
        """Want the answer no more."""
        self._connection.reset_stream(answer.stream, ErrorCodes.CANCEL)
        self._flush()

    async def run(self) -> None:
        """Until the server closes the connection."""
        try:
            while data := await self._reader.read(65536):
                for event in self._connection.receive_data(self._without_farewells(data)):
                    self._take(event)
                self._flush()
        except ConnectionError:
            pass  # the answers say it
        finally:
            self._ended = True
            for answer in self._answers.values():
                self._cut(answer, "the connection ended")

    def _without_farewells(self, data: bytes) -> bytes:
        """Whole frames but GOAWAY, after which h2 reads nothing: RFC 9113 6.8 lets the streams that
        were begun go on to their ends."""
        frames, self._pending = [], self._pending + data
        while len(self._pending) >= FRAME_HEADER:
            length = FRAME_HEADER + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < length:
                break
            frame, self._pending = self._pending[:length], self._pending[length:]
            if frame[3] == GOAWAY:
                self.told_to_go = True
            else:
                frames.append(frame)
        return b"".join(frames)

    def _take(self, event: Event) -> None:
        stream = getattr(event, "stream_id", None)
        answer = self._answers.get(stream or 0)
        if answer is None:
            return
        match event:
            case ResponseReceived(headers=headers):
                answer.headers = {str(name): str(value) for name, value in headers or ()}
            case DataReceived(data=data, flow_controlled_length=length):
                answer.body += data or b""
                self._connection.acknowledge_received_data(length or 0, answer.stream)
            case StreamEnded() if not answer.whole.done():
                answer.whole.set_result(None)
            case StreamReset(error_code=code):
                self._cut(answer, f"reset by the server: {code}")

    def _cut(self, answer: Answer, why: str) -> None:
        if not answer.whole.done():
            answer.whole.set_exception(Cut(why))
            answer.whole.exception()  # whether anybody awaits it is up to the test

    def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())


@asynccontextmanager
async def http2(url: str, context: ssl.SSLContext) -> AsyncIterator[Http2Client]:
    """A connection to the server at `url`; `context` offers `h2` by ALPN."""
    host, _, port = url.removeprefix("https://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    client = Http2Client(url, context, reader, writer)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        writer.transport.abort()
        await asyncio.wait([running])
