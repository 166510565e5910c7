"""Where the node keeps what on disk, and what an earlier life of it left there.

Upstream: the data folder. Downstream: `hotpath.node.app`, once at start. Waits for the disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from hotpath.hls.spool_recovery import RecoveredSession, recover
from hotpath.node import snapshot as snapshots
from hotpath.node.outbox import FactsFile
from hotpath.program import checkpoint as checkpoints
from hotpath.program.checkpoint import Checkpoint
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import MediaFact
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the node keeps what, below its data folder."""

    data: Path

    @property
    def desired(self) -> Path:
        return self.data / "media" / "desired.json"

    @property
    def facts(self) -> Path:
        return self.data / "media" / "facts.jsonl"

    @property
    def programs(self) -> Path:
        return self.data / "media" / "programs"

    @property
    def spool(self) -> Path:
        return self.data / "spool"


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What an earlier life of the node left on disk."""

    snapshot: DesiredSnapshot
    checkpoints: dict[ProgramKey, Checkpoint]
    facts: list[MediaFact]


def read_back(folders: Folders, facts: FactsFile) -> LeftBehind:
    """Everything from disk, spool sessions of earlier lives sealed; waits for the disk."""
    recovered = recover(folders.spool)
    for session in recovered:
        log.info(
            "a recording was recovered",
            program=str(session.key),
            incarnation=session.incarnation,
            segments=session.segments,
            parts=session.parts,
        )
    found, unreadable = checkpoints.load_all(folders.programs)
    for path in unreadable:
        log.error("a checkpoint cannot be read; its programme starts anew", path=str(path))
    return LeftBehind(snapshots.load(folders.desired), raised(found, recovered), facts.load())


def raised(
    found: dict[ProgramKey, Checkpoint], recovered: Sequence[RecoveredSession]
) -> dict[ProgramKey, Checkpoint]:
    """Checkpoints that also cover what the spool holds, should a reservation have failed."""
    covering = dict(found)
    for session in recovered:
        known = covering.get(session.key)
        if known is not None:
            covering[session.key] = known.model_copy(
                update={
                    "msn_reserved": max(known.msn_reserved, session.highest_msn + 1),
                    "discontinuity_seq": max(
                        known.discontinuity_seq, session.highest_discontinuity_seq
                    ),
                }
            )
    return covering
