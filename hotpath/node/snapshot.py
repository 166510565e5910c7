"""The last desired state, kept on disk, so that a node starts and runs without control or bus.

The file holds project secrets, hence mode 0600. Calls wait for the disk: use a thread.
Downstream: `hotpath.node.app` at start, and after every change.
"""

from pathlib import Path

import structlog
from pydantic import ValidationError

from hotpath.program.checkpoint import replace_file
from infra.events.desired_state import DesiredSnapshot

log = structlog.get_logger(__name__)


def load(path: Path) -> DesiredSnapshot:
    """What was saved last; an empty state where there is none or it cannot be read."""
    try:
        return DesiredSnapshot.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return DesiredSnapshot()
    except ValidationError:
        log.exception(
            "the desired state on disk cannot be read; waiting for the bus", path=str(path)
        )
        return DesiredSnapshot()


def save(path: Path, snapshot: DesiredSnapshot) -> None:
    """Replace the file atomically."""
    replace_file(path, snapshot.model_dump_json().encode())
