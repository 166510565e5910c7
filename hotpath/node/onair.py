"""What the node keeps for one programme while it is on the air.

Upstream: `hotpath.node.programs` holds one `OnAir` per programme key.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hotpath.bus.stream import ProgramStream
from hotpath.hls.live import LivePlaylists
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Item, Sample
from hotpath.node.incarnations import Incarnation
from hotpath.program.service import Program, ProgramOptions, Publish
from infra.events.desired import DesiredEvent
from infra.keys import ProgramKey
from infra.telemetry.stages import observe_stage


@dataclass(slots=True)
class OnAir:
    """A programme with its present publisher and incarnation."""

    key: ProgramKey
    event: DesiredEvent
    program: Program
    publisher: Publisher | None = None
    incarnation: Incarnation | None = None
    playlists: LivePlaylists | None = None
    """Of the incarnation."""
    opening: bool = False


def options_of(event: DesiredEvent, part_target_ms: int, target_duration_s: int) -> ProgramOptions:
    return ProgramOptions(
        part_target_ms=part_target_ms,
        target_duration_s=target_duration_s,
        reconnect_window_s=event.reconnect_window_s,
    )


def observed(stream: ProgramStream) -> Publish:
    """The stream's `publish`, with the age of every unit of a publisher counted."""

    def publish(items: Iterable[Item]) -> None:
        batch = list(items)
        stream.publish(batch)
        for item in batch:
            if isinstance(item, Sample) and not item.unit.slate:
                observe_stage("published", (item.published_ns - item.unit.ingest_ns) / 1e9)

    return publish
