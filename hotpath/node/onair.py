"""What the node keeps for one programme while it is on the air.

Upstream: `hotpath.node.programs` holds one `OnAir` per programme key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hotpath.bus.stream import ProgramStream
from hotpath.hls.live import LivePlaylists
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Item, Sample
from hotpath.node.incarnations import Incarnation
from hotpath.program.service import Program, ProgramOptions, Publish
from hotpath.program.switcher import Switcher
from infra.events.desired import DesiredEvent
from infra.keys import ProgramKey
from infra.publishers import Role
from infra.telemetry.stages import observe_stage


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is connected to a programme."""

    primary: bool
    backup: bool
    active: Role | None
    """Whose media goes on the air."""


@dataclass(slots=True)
class OnAir:
    """A programme with its present publishers and incarnation."""

    key: ProgramKey
    event: DesiredEvent
    switcher: Switcher
    publishers: dict[int, Publisher] = field(default_factory=dict)
    """By id; those that were sent away are in it until they are gone."""
    incarnation: Incarnation | None = None
    playlists: LivePlaylists | None = None
    """Of the incarnation."""
    opening: bool = False
    told: Presence | None = None
    """What control was told last."""

    given_up: bool = False
    """Another node goes on with it."""
    rests_until: int = 0
    """Monotonic ns: not to be polled before."""

    @property
    def begun(self) -> bool:
        """Storage was asked for: what comes now is recorded."""
        return self.incarnation is not None or self.opening

    @property
    def due(self) -> int | None:
        """Monotonic ns at which it is to be polled."""
        due = self.switcher.next_deadline()
        return None if due is None else max(due, self.rests_until)

    @property
    def program(self) -> Program:
        return self.switcher.program

    @property
    def publisher(self) -> Publisher | None:
        """The one whose media goes on the air."""
        active = self.switcher.active
        return None if active is None else self.publishers.get(active)

    @property
    def presence(self) -> Presence:
        roles, active = self.switcher.roles, self.switcher.active
        places = roles.values()
        on_air = None if active is None else roles[active]
        return Presence(Role.PRIMARY in places, Role.BACKUP in places, on_air)


def recorded_event(key: ProgramKey) -> DesiredEvent:
    """An event of which no more is known than that this programme of it is on disk."""
    return DesiredEvent(
        id=key.event,
        project=key.project,
        feed=key.feed,
        revision=0,
        open=True,
        access="token",
        kid="",
        generation=1,
        takeover=False,
    )


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
