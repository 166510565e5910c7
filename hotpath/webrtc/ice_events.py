"""What an ICE agent is given and says: credentials, sources, events.

Upstream: `ice`. Downstream: `peer`, which acts on the events.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

Source: TypeAlias = Hashable
"""Where a datagram came from: opaque here; equal sources are the same way to the peer."""


@dataclass(frozen=True, slots=True)
class Credentials:
    ufrag: str
    pwd: str = field(repr=False)

    @property
    def key(self) -> bytes:
        return self.pwd.encode("ascii")


@dataclass(frozen=True, slots=True)
class PathSelected:
    source: Source


@dataclass(frozen=True, slots=True)
class Send:
    """A check of ours to be sent."""

    data: bytes
    source: Source


@dataclass(frozen=True, slots=True)
class Retired:
    """The credentials before a restart are valid no more."""

    ufrag: str


@dataclass(frozen=True, slots=True)
class ConsentExpired:
    pass


IceEvent: TypeAlias = PathSelected | Send | Retired | ConsentExpired
