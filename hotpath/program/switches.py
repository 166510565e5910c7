"""What a switcher is told, and what it tells the node beside what its programme does. Pure data."""

from dataclasses import dataclass
from typing import TypeAlias

from hotpath.program.options import SECOND
from hotpath.program.states import ProgramEvent
from infra.publishers import Role

SILENT = "silent"
"""The reason of a switch from a publisher that is still connected."""


@dataclass(frozen=True, slots=True)
class SwitcherOptions:
    silent_ns: int = 1 * SECOND
    """An active publisher silent for so long gives way to a standby that is ready."""
    overlap_ns: int = 2 * SECOND
    """A switch never sets the programme further ahead of the wall clock."""


@dataclass(frozen=True, slots=True)
class Switched:
    """A standby has become active."""

    publisher: int
    role: Role
    instead_of: Role
    reason: str
    """`SILENT`, or why the other one was lost."""


@dataclass(frozen=True, slots=True)
class StandbyLost:
    """The programme goes on, but nobody would step in now."""

    publisher: int
    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class KeyframeWanted:
    """This publisher is needed and no keyframe of it is held."""

    publisher: int


SwitcherEvent: TypeAlias = ProgramEvent | Switched | StandbyLost | KeyframeWanted
