"""Which recordings lose media now, told once when it begins and once when it ends.

Upstream: the spool, on threads of its own. Downstream: the journal and the readiness check, on the
event loop.
"""

import asyncio
from collections.abc import Callable

from hotpath.node.journal import Journal
from infra.events.facts import FactType
from infra.keys import ProgramKey
from infra.telemetry.ops import Impaired


class Recordings:
    """Made on the event loop; `degraded` and `restored` may be called on any thread."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._losing: dict[ProgramKey, str] = {}

    def degraded(self, key: ProgramKey, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._note_degraded, key, reason)

    def restored(self, key: ProgramKey) -> None:
        self._loop.call_soon_threadsafe(self._note_restored, key)

    def problem(self, on_air: Callable[[ProgramKey], bool]) -> str | None:
        """A readiness check over the programmes that are on the air."""
        reasons = [why for key, why in self._losing.items() if on_air(key)]
        if not reasons:
            return None
        told = ", ".join(sorted(set(reasons)))
        return Impaired(f"{len(reasons)} recordings lose media: {told}")

    def _note_degraded(self, key: ProgramKey, reason: str) -> None:
        self._losing[key] = reason
        self._journal.program(key, FactType.RECORDING_DEGRADED, reason=reason)

    def _note_restored(self, key: ProgramKey) -> None:
        self._losing.pop(key, None)
        self._journal.program(key, FactType.RECORDING_RESTORED)
