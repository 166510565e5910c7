"""The secrets of projects, from which keys and tokens are made, remembered for a moment.

Invariant: a ring is at most `FRESH_MS` old, and in the process that made or retired a secret never
older than that change. A secret never changes under its kid, so an older ring could lack a new one
or have a retired one, and never hold a wrong one. One that lacks a wanted kid is asked for again,
unless it has a newer one: then the wanted one is retired.

Upstream: the table of project secrets. Downstream: `infra.control.service`.
"""

import base64
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.kids import number_of
from infra.control.views import SecretRing
from infra.db.control import ProjectSecret

FRESH_MS = 5_000
KNOWN = 2_048
"""Projects that are remembered."""


@dataclass(frozen=True, slots=True)
class _Held:
    ring: SecretRing
    at_ms: int
    newest: int
    """Number of its newest kid."""

    def knows(self, kids: tuple[str, ...]) -> bool:
        """Whether these are in the ring, or retired."""
        return all(kid in self.ring or number_of(kid) < self.newest for kid in kids)


class SecretRings:
    """See the module for the invariant."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._changes = 0

    async def of(self, session: AsyncSession, project: str, now_ms: int, *kids: str) -> SecretRing:
        """The project's secrets by kid, those of `kids` among them if there are such."""
        held = self._held.get(project)
        if held is not None and abs(now_ms - held.at_ms) < FRESH_MS and held.knows(kids):
            return held.ring
        changes = self._changes
        rows = await session.scalars(select(ProjectSecret).where(ProjectSecret.project == project))
        ring = {row.kid: base64.b64decode(row.secret) for row in rows}
        # What was read before a change may have arrived after it.
        if changes == self._changes:
            self._remember(project, ring, now_ms)
        return ring

    def forget_after(self, session: AsyncSession, project: str) -> None:
        """The project's ring is asked for again once `session` has committed a change of it."""
        event.listen(session.sync_session, "after_commit", lambda _session: self._forget(project))

    def _remember(self, project: str, ring: SecretRing, now_ms: int) -> None:
        self._held[project] = _Held(ring, now_ms, max(map(number_of, ring), default=0))
        self._held.move_to_end(project)
        if len(self._held) > KNOWN:
            self._held.popitem(last=False)

    def _forget(self, project: str) -> None:
        self._held.pop(project, None)
        self._changes += 1
