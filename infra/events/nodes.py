"""Media nodes as they tell of themselves every `EVERY_S`, and what is wanted of each: the words.

Invariant: a wish holds for one life of a node's process; one that starts again is free of it.
Carried by `infra.events.nodes_bus`, which keeps what a node told for `KEPT_S`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EVERY_S = 1.0
KEPT_S = 6

Publishers = Literal["stay", "move"]


class _Part(BaseModel):
    # One side may be newer than the other.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ProgrammePresence(_Part):
    """A programme that a node carries."""

    key: str
    """`{project}/{event}/{feed}`"""
    live: bool
    """A publisher is on the air; else it may come back to this node, or go to another one."""
    since_ms: int = 0
    """Unix ms at which it began here."""
    checkpoint: dict[str, Any] | None = None
    """Of `hotpath.program.checkpoint`: from where another node may go on with it; None: nowhere."""


class NodePresence(_Part):
    node: str
    boot: str
    """Differs in each life of the process."""
    url: str = ""
    """Base URL of this node alone, as viewers reach it; empty: it has none."""
    draining: bool = False
    """It takes no further viewer and no further programme."""
    publishers_move: bool = False
    """It takes no publisher at all."""
    publishers: int = 0
    viewers: int = 0
    """WebRTC sessions."""
    programmes: tuple[ProgrammePresence, ...] = ()

    def carries(self, key: str) -> bool:
        """Whether the programme is live there."""
        return any(one.key == key and one.live for one in self.programmes)


class NodeWish(_Part):
    boot: str
    """The life that it is for."""
    drain: bool
    publishers: Publishers = "stay"
    """`move`: they are sent away, for their encoders to come to another node."""
    hls_after_s: int = Field(30, ge=0)
    """When WebRTC viewers for whom there is no other node go on by LL-HLS."""
