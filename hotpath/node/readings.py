"""Tells the bus every few seconds how each programme of this node does.

Invariant: nothing waits for it, and nothing is kept for a bus that is away: that reading is lost.
What a look costs depends on the programmes on the air, never on their viewers.

Upstream: publishers' statistics, programmes, playlists, the fan-out's gate. Downstream:
`infra.events.readings`, for people who look after an event.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.whip_service import WhipIngest
from hotpath.node.onair import OnAir
from hotpath.node.received import Received, of_srt, of_whip, reading_of
from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.readings import (
    EVERY_S,
    Reading,
    SourceReading,
    StageReading,
    ViewersReading,
    tell,
)
from infra.publishers import Role
from infra.telemetry.stages import Recent

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """What readings are taken of."""

    on_air: Callable[[], Iterable[OnAir]]
    srt: SrtIngest
    whip: WhipIngest
    whep_viewers: Callable[[str], int]
    """Of an event."""

    def received(self) -> Iterator[Received]:
        yield from map(of_srt, self.srt.statistics())
        yield from map(of_whip, self.whip.statistics())


class Readings:
    """Make it, then `run` it as a task."""

    def __init__(
        self, bus_url: str, node: str, watched: Watched, *, every_s: float = EVERY_S
    ) -> None:
        self._url = bus_url
        self._node = node
        self._watched = watched
        self._every_s = every_s
        self._before: dict[int, Received] = {}
        self._stages = Recent()

    async def run(self) -> None:
        """Until it is cancelled."""
        client = connect(self._url)
        try:
            while True:
                await asyncio.sleep(self._every_s)
                try:
                    await tell(client, self.take(time.time_ns() // 1_000_000))
                except BusUnavailable as error:
                    log.debug("readings are lost", problem=str(error))
                except Exception:
                    log.exception("a reading brought out a bug; programmes go on")
        finally:
            await client.aclose()

    def take(self, at_ms: int) -> list[Reading]:
        """One of every programme, about the time since the last look."""
        now = {one.publisher.id: one for one in self._watched.received()}
        before, self._before = self._before, now
        entries = list(self._watched.on_air())
        recent = self._stages.look() if entries else {}
        ages = {stage: StageReading(**quantiles) for stage, quantiles in recent.items()}
        return [
            Reading(
                project=entry.key.project,
                event=entry.key.event,
                feed=entry.key.feed,
                node=self._node,
                at_ms=at_ms,
                state=entry.program.state.value,
                sources=_sources(entry, now, before),
                viewers=self._viewers(entry),
                stages=ages,
            )
            for entry in entries
        ]

    def _viewers(self, entry: OnAir) -> ViewersReading:
        hls = entry.playlists.count_viewers() if entry.playlists else 0
        return ViewersReading(whep=self._watched.whep_viewers(entry.key.event), hls=hls)


def _sources(
    entry: OnAir, now: dict[int, Received], before: dict[int, Received]
) -> tuple[SourceReading, ...]:
    active = entry.switcher.active
    found = [
        reading_of(now[id], before.get(id), on_air=id == active)
        for id in entry.publishers
        if id in now
    ]
    return tuple(sorted(found, key=lambda one: list(Role).index(one.role)))
