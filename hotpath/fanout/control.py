"""One viewer's control channel: what the node has to tell it, as server-sent events.

Invariant: a channel holds at most `MAX_QUEUED` events whatever its reader does; it has one reader,
a new one takes the place of the one before and is reminded first of what is still true; after
`close` what is queued still goes out, then the stream ends.
Upstream: `hotpath.fanout.service`. Downstream: `whep`'s `GET .../events`.
Spec: WHATWG HTML 9.2; draft-ietf-wish-whep-03, "Server Sent Events extension".
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field

EVENTS = ("drain", "move", "fallback", "revoked", "ended", "rendition", "marker")
"""Names that a channel may carry, as the `Link` header lists them."""
FINAL = frozenset({"fallback", "revoked", "ended"})
"""Those after which the session is over."""
RETRY = b"retry: 2000\n\n"
"""When an EventSource that was cut off comes back, ms."""
MAX_QUEUED = 32
KEEP_ALIVE = b": \n\n"


@dataclass(frozen=True, slots=True)
class ControlEvent:
    name: str
    data: Mapping[str, object] = field(default_factory=dict)

    def encoded(self) -> bytes:
        body = json.dumps(dict(self.data), separators=(",", ":"))
        return f"event: {self.name}\ndata: {body}\n\n".encode()


class Channel:
    """See the module for the invariant. Lives on the event loop."""

    def __init__(self) -> None:
        self.dropped = 0
        """Events that no reader came for in time."""
        self.final: ControlEvent | None = None
        """What said that the session is over."""
        self._queue: deque[ControlEvent] = deque()
        self._closed = False
        self._reader = 0
        self._wake: asyncio.Event = asyncio.Event()

    @property
    def listened(self) -> bool:
        """Whether somebody has ever come to read."""
        return self._reader > 0

    def put(self, event: ControlEvent) -> None:
        if self._closed:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(event)
        if event.name in FINAL:
            self.final = event
        self._wake.set()

    def close(self) -> None:
        """Nothing more is coming."""
        self._closed = True
        self._wake.set()

    async def stream(
        self, keep_alive_s: float, reminders: Callable[[], Iterable[ControlEvent]] = tuple
    ) -> AsyncGenerator[bytes, None]:
        """The events as they come, with a comment when nothing came for `keep_alive_s`.

        `reminders` is asked when the reader begins: what came before, and still matters to it.
        """
        self._reader += 1
        mine = self._reader
        self._wake.set()  # whoever read before leaves
        remembered = b"".join(event.encoded() for event in reminders())
        yield RETRY + remembered
        while self._reader == mine:
            while self._queue and self._reader == mine:
                yield self._queue.popleft().encoded()
            if self._closed or self._reader != mine:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(keep_alive_s):
                    await self._wake.wait()
            except TimeoutError:
                yield KEEP_ALIVE
