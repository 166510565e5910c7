"""What is said in a live programme, over the bus to whoever shows it while it is live.

Invariant: `heard` hands out nothing that breaks a rule of `HeardWindow`, and nothing that comes
over the bus ends it. Windows of an incarnation do not overlap, may come in any order, and may come
more than once, then the same. The bus keeps none of them: one that is lost is missing live, and
nowhere else, because the words are stored in the bucket before they are told.

    PUBLISH livepath:captions <HeardWindow JSON>

Upstream: the captions functions in a worker. Downstream: the media node that has the programme.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import redis
import structlog
from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from infra.errors import BusUnavailable
from infra.events.bus import MAX_BLOCK_MS, Backoff, bus_errors
from infra.keys import ProgramKey, is_name

_log = structlog.get_logger(__name__)

CHANNEL = "livepath:captions"
LONGEST_MS = 120_000
MOST_CUES = 200
LONGEST_TEXT = 1_000
MOST_BYTES = 128 * 1024
"""Of a message; a window with all it may hold is larger, but nobody says so much."""
_TAG = re.compile(r"([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4})?")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNREADABLE = Counter(
    "livepath_captions_unreadable_total", "Messages about captions that could not be read."
)


@dataclass(frozen=True, slots=True)
class HeardCue:
    """What is shown at once. Raises `ValueError` for what cannot be shown."""

    start_ms: int
    """Unix ms on the programme's timeline, as EXT-X-PROGRAM-DATE-TIME tells it; so are all."""
    end_ms: int
    text: str
    """Plain, of one line or several; nothing in it is markup."""

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms < self.end_ms:
            raise ValueError(f"a cue from {self.start_ms} to {self.end_ms} is never shown")
        if not self.text.strip() or len(self.text) > LONGEST_TEXT:
            raise ValueError(f"a cue has 1 to {LONGEST_TEXT} characters, not {len(self.text)}")
        if _CONTROL.search(self.text):
            raise ValueError("a cue holds a character that cannot be shown")


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """What was said in a stretch of one incarnation; no cues: nobody spoke. Raises `ValueError`
    when a part of it makes no sense."""

    project: str
    event: str
    feed: str
    incarnation: str
    language: str
    """RFC 5646; empty when not known."""
    from_ms: int
    until_ms: int
    cues: tuple[HeardCue, ...]
    """In order, one after the other, inside the window."""

    def __post_init__(self) -> None:
        if not is_name(self.incarnation):
            raise ValueError(f"{self.incarnation!r} is no name of an incarnation")
        _ = self.program
        if not _TAG.fullmatch(self.language):
            raise ValueError(f"{self.language[:40]!r} is no language tag")
        if not 0 <= self.from_ms < self.until_ms <= self.from_ms + LONGEST_MS:
            raise ValueError(f"no window lasts from {self.from_ms} to {self.until_ms}")
        if len(self.cues) > MOST_CUES:
            raise ValueError(f"a window has at most {MOST_CUES} cues, not {len(self.cues)}")
        ends = [self.from_ms, *(cue.end_ms for cue in self.cues)]
        starts = [*(cue.start_ms for cue in self.cues), self.until_ms]
        if any(start < end for end, start in zip(ends, starts, strict=True)):
            raise ValueError("cues overlap or lie outside their window")

    @property
    def program(self) -> ProgramKey:
        return ProgramKey(self.project, self.event, self.feed)


_WINDOW = TypeAdapter(HeardWindow)


def encoded(window: HeardWindow) -> bytes:
    """The message that says it."""
    return _WINDOW.dump_json(window)


def parse(raw: str | bytes) -> HeardWindow | None:
    """None: the message holds no window that can be read."""
    if len(raw) > MOST_BYTES:
        return None
    try:
        return _WINDOW.validate_json(raw, strict=True)
    except ValidationError:
        return None


def announce(client: redis.Redis, window: HeardWindow) -> None:
    """Tells everybody who listens. Raises `BusUnavailable`; then the live captions lack it."""
    try:
        client.publish(CHANNEL, encoded(window))
    except (redis.RedisError, OSError) as error:
        raise BusUnavailable(f"the bus does not answer: {error}") from error


async def heard(client: Redis) -> AsyncGenerator[HeardWindow]:
    """Windows as they are told, without end. What is told while the bus is away is not heard."""
    backoff = Backoff()
    while True:
        try:
            async with client.pubsub() as channel:
                async with bus_errors():
                    await channel.subscribe(CHANNEL)
                while True:
                    async with bus_errors():
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=MAX_BLOCK_MS / 1000
                        )
                    backoff.reset()
                    window = None if message is None else parse(message["data"])
                    if window is not None:
                        yield window
                    elif message is not None:
                        _report_unreadable()
        except UnicodeDecodeError:
            # The driver gives up in the middle of a message that is no text; this is a new start.
            _report_unreadable()
        except BusUnavailable as error:
            _log.debug("no captions from the bus", error=str(error))
            await asyncio.sleep(backoff.pause())


def _report_unreadable() -> None:
    _UNREADABLE.inc()
    _log.warning("a message about captions cannot be read")
