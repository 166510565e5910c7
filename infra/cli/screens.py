"""What is seen of an event while it is watched: lines through a pipe, a picture on a terminal.

Upstream: `infra.cli.watching`, which asks and listens; nothing here does. A screen is told what was
heard and what was found, and shows it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from infra.cli.event_tables import encoders
from infra.cli.messages import line
from infra.cli.output import print_line, state, table, when

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from infra.client.models import Event, Job, Message, Reading

LINES = 8
"""Of what was heard last, in a picture."""
REPORTS = 3
JOBS = 6


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it is, its newest jobs, and how its programme does."""

    event: "Event"
    jobs: "Sequence[Job]" = ()
    reading: "Reading | None" = None
    """None: it is off the air, or nobody knows."""


class Screen(Protocol):
    """Where an event is watched."""

    def heard(self, message: "Message") -> None: ...

    def found(self, found: Found) -> None: ...

    def lost(self, reason: str) -> None:
        """Nobody answers for now; it is tried again."""


class Lines:
    """A line for everything that is heard; the first says what was found."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._began = False
        self._lost = False

    def heard(self, message: "Message") -> None:
        print(line(message), flush=True)

    def found(self, found: Found) -> None:
        self._lost = False
        if not self._began:
            self._began, event = True, found.event
            told = f"{event.name}: {event.state}"
            print(f"{when(event.updated_at):<20}  {event.id:<20}  {told}", flush=True)

    def lost(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            self._complain(reason)


class JsonLines(Lines):
    """A JSON document for everything that is heard, and nothing else."""

    def heard(self, message: "Message") -> None:
        print_line(message)

    def found(self, _found: Found) -> None:
        self._lost = False


class Picture:
    """All of it at once, drawn anew."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lines: deque[str] = deque(maxlen=LINES)
        self._found: Found | None = None
        self._reason: str | None = None

    def heard(self, message: "Message") -> None:
        self._lines.append(line(message))

    def found(self, found: Found) -> None:
        self._found, self._reason = found, None

    def lost(self, reason: str) -> None:
        self._reason = reason

    def draw(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        if self._found is None:
            return Text(self._reason or "connecting …", style="dim")
        event = self._found.event
        rows: list[tuple[str, str | Text]] = [
            ("event", Text(f"{event.name} ({event.id})", style="bold")),
            ("state", Text.assemble(state(event.state), f" {self._clock(event)}")),
            ("encoders", encoders(event) or "none is connected"),
            *_of(self._found.reading),
            *(("ingest", f"{when(one.at)} {one.message}") for one in event.ingest.recent[:REPORTS]),
            *(("job", _job(one)) for one in _unfinished(self._found.jobs)[:JOBS]),
        ]
        if event.recording.degraded:
            rows.append(("recording", Text("parts are or were lost", style="red")))
        if self._reason is not None:
            rows.append(("connection", Text(self._reason, style="yellow")))
        heard = Text("\n".join(self._lines), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(table(("", ""), rows), heard)

    def _clock(self, event: "Event") -> str:
        """How long it has been live, or how long until its start."""
        now = self._now()
        if event.started_at is not None:
            return f"for {_span((event.ended_at or now) - event.started_at)}"
        if event.starts_at is not None and event.starts_at > now:
            return f"starts in {_span(event.starts_at - now)}"
        return ""


def _of(reading: "Reading | None") -> "Iterator[tuple[str, str | Text]]":
    from rich.text import Text

    if reading is None:
        return
    for one in reading.sources:
        fps = "" if one.fps is None else f", {one.fps:.0f} pictures/s"
        said = f"{one.protocol} {one.kbps / 1000:.1f} Mbit/s{fps}, round trip {one.rtt_ms:.0f} ms"
        if one.silent:
            said = f"{one.protocol} sends nothing"
        yield one.role, Text(said, style="red" if one.silent else "")
    yield "viewers", f"{reading.viewers.whep} by WebRTC, {reading.viewers.hls} by LL-HLS"


def _unfinished(jobs: "Sequence[Job]") -> "list[Job]":
    """What is at work, or gave up; the rest is told of in lines."""
    return [job for job in jobs if job.state not in ("succeeded", "cancelled")]


def _job(job: "Job") -> str:
    return f"{job.function} {job.state} {100 * job.progress:.0f} %"


def _span(length: timedelta) -> str:
    total = max(0, int(length.total_seconds()))
    return f"{total // 3600}:{total // 60 % 60:02}:{total % 60:02}"
