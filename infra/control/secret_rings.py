"""The secrets of projects, from which keys and tokens are made, remembered for a moment.

Invariant: a ring is at most `FRESH_MS` old. A secret never changes under its kid, so an older ring
could lack a new one and never hold a wrong one; one that lacks a wanted kid is asked for again.

Upstream: the table of project secrets. Downstream: `infra.control.service`.
"""

import base64
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.views import SecretRing
from infra.db.control import ProjectSecret

FRESH_MS = 5_000
KNOWN = 2_048
"""Projects that are remembered."""


@dataclass(frozen=True, slots=True)
class _Held:
    ring: SecretRing
    at_ms: int


class SecretRings:
    """See the module for the invariant."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def of(self, session: AsyncSession, project: str, now_ms: int, *kids: str) -> SecretRing:
        """The project's secrets by kid, those of `kids` among them if there are such."""
        held = self._held.get(project)
        fresh = held is not None and abs(now_ms - held.at_ms) < FRESH_MS
        if held is not None and fresh and held.ring.keys() >= set(kids):
            return held.ring
        rows = await session.scalars(select(ProjectSecret).where(ProjectSecret.project == project))
        ring = {row.kid: base64.b64decode(row.secret) for row in rows}
        self._held[project] = _Held(ring, now_ms)
        self._held.move_to_end(project)
        if len(self._held) > KNOWN:
            self._held.popitem(last=False)
        return ring
