"""The last desired state, kept on disk, so that a node starts and runs without control or bus.

The file holds project secrets, hence mode 0600. `load` and `save` wait for the disk: use a thread.
Downstream: `hotpath.node.app` at start, and after every change.
"""

import asyncio
from concurrent.futures import Executor
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


class Keeper:
    """Saves what it was given last, and makes nobody wait for the disk; one `run()`.

    Invariant: once the disk is done, the file holds the newest state; others may be passed over.
    """

    def __init__(self, path: Path, disk: Executor) -> None:
        self._path = path
        self._disk = disk
        self._newest: DesiredSnapshot | None = None
        self._given = asyncio.Event()

    def keep(self, snapshot: DesiredSnapshot) -> None:
        self._newest = snapshot
        self._given.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._given.wait()
            self._given.clear()
            newest, self._newest = self._newest, None
            if newest is None:
                continue
            try:
                await loop.run_in_executor(self._disk, save, self._path, newest)
            except OSError as error:
                log.error("the desired state cannot be kept on disk", why=str(error))
