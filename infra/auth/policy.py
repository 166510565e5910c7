"""What a viewer token entitles to: path, rendition cap and priority, by role, tier and load.

Pure. Invariant: who may do more under load may do more without it, and load takes nothing from who
is watching but a place that somebody of higher priority needs. A role says who somebody is, a tier
what they watch; each role has a tier unless the token names another.

Upstream: `access` on media nodes, with a token's claims and the tier changes of its event; control,
which tells players what they may do. `docs/access.md` has these tables; a test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["whep", "hls"]


class Role(StrEnum):
    """Who somebody is in the event."""

    VIEWER = "viewer"
    INTERACTIVE = "interactive"
    BACKSTAGE = "backstage"
    MODERATOR = "moderator"
    HOST = "host"


class Tier(StrEnum):
    """How somebody watches; it can change while they do."""

    BROADCAST = "broadcast"
    STANDARD = "standard"
    INTERACTIVE = "interactive"
    BACKSTAGE = "backstage"


class Path(StrEnum):
    """The ways in which somebody may watch."""

    NOTHING = "nothing"
    HLS = "LL-HLS"
    WHEP = "WHEP"
    BOTH = "both"

    @property
    def hls(self) -> bool:
        return self is Path.HLS or self is Path.BOTH

    @property
    def whep(self) -> bool:
        return self is Path.WHEP or self is Path.BOTH

    @property
    def transports(self) -> list[Transport]:
        """As players are told, the better one first."""
        names: list[tuple[Transport, bool]] = [("whep", self.whep), ("hls", self.hls)]
        return [name for name, allowed in names if allowed]


@dataclass(frozen=True, slots=True)
class TierRow:
    path: Path
    priority: int


TIERS: Mapping[Tier, TierRow] = MappingProxyType(
    {
        Tier.BROADCAST: TierRow(Path.HLS, 0),
        Tier.STANDARD: TierRow(Path.BOTH, 0),
        Tier.INTERACTIVE: TierRow(Path.BOTH, 1),
        Tier.BACKSTAGE: TierRow(Path.WHEP, 2),
    }
)


@dataclass(frozen=True, slots=True)
class RoleRow:
    tier: Tier
    """Where the token names none."""
    priority: int


ROLES: Mapping[Role, RoleRow] = MappingProxyType(
    {
        Role.VIEWER: RoleRow(Tier.STANDARD, 0),
        Role.INTERACTIVE: RoleRow(Tier.INTERACTIVE, 1),
        Role.BACKSTAGE: RoleRow(Tier.BACKSTAGE, 2),
        Role.MODERATOR: RoleRow(Tier.INTERACTIVE, 3),
        Role.HOST: RoleRow(Tier.INTERACTIVE, 4),
    }
)


@dataclass(frozen=True, slots=True)
class Load:
    """Of one node, for somebody who wants to join over WebRTC."""

    full: bool = False
    """It takes no further viewer, or none of this event."""
    lowest: int | None = None
    """The lowest priority of those who could give their place; None: there are none."""


ROOM = Load()


@dataclass(frozen=True, slots=True)
class Rights:
    """What the policy says."""

    path: Path
    cap: str | None
    """Name of a rung of the ladder: nothing taller is shown. None: no cap."""
    priority: int
    """Who has less gives its place to who has more when a node is full."""


@lru_cache(maxsize=1024)
def decide(
    role: Role, tier: Tier | None = None, cap: str | None = None, load: Load = ROOM
) -> Rights:
    """The policy; see the module for the invariant."""
    given = ROLES[role]
    row = TIERS[given.tier if tier is None else tier]
    return under(Rights(row.path, cap, max(given.priority, row.priority)), load)


def under(rights: Rights, load: Load) -> Rights:
    """What is left of the rights of somebody who comes under this load."""
    if not load.full or (load.lowest is not None and load.lowest < rights.priority):
        return rights
    return replace(rights, path=Path.HLS if rights.path.hls else Path.NOTHING)


LEAST = 0
"""Nobody has a lower priority."""
UNLIMITED = Rights(Path.BOTH, None, LEAST)
"""Of somebody who needs no token."""
