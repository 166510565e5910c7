"""What the API does with the secrets of a project, from which stream keys, SRT passphrases, WHIP
tokens and HS256 viewer tokens derive. Nothing here commits.

Invariant: the newest secret signs; no event that may still be published to has a secret that is
gone, because whoever gives an event its secret keeps that secret from being retired until the event
is committed. Each change raises the project's revision, so that the publisher takes it to the media
nodes. No secret leaves the database with an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.kids import kid_after, newest_of, number_of
from infra.control.bootstrap import new_secret
from infra.control.problems import Conflict, NotFound
from infra.control.projects import change_project
from infra.control.secret_rings import SecretRings
from infra.db.control import OPEN_STATES, Event, Project, ProjectSecret
from infra.lifecycle import EventState

MAX_SECRETS = 10
"""Of a project: one signs, others until their tokens have expired and their events are over."""
NAMED = 10
"""Events in a refusal."""
NOT_OVER = OPEN_STATES | {EventState.DRAFT}
"""States of events whose stream key opens something, or will."""


async def kid_for_streams(session: AsyncSession, project: str) -> str:
    """The secret of new stream keys; it is not retired before this transaction has ended."""
    # Whoever retires one locks the project FOR UPDATE; this lets everything else go on. By a
    # statement of its own, because what waited for a lock sees what there was before it waited.
    lock = select(Project.id).where(Project.id == project)
    await session.execute(lock.with_for_update(read=True, key_share=True))
    kids = await session.scalars(select(ProjectSecret.kid).where(ProjectSecret.project == project))
    return newest_of(kids.all())


@dataclass(frozen=True, slots=True)
class Held:
    """The secrets of a project, and what depends on them."""

    secrets: Sequence[ProjectSecret]
    """The one that signs comes first."""
    events: Mapping[str, int]
    """kid -> how many events that are not over have it."""

    def signs(self, secret: ProjectSecret) -> bool:
        return secret is self.secrets[0]


class SecretService:
    """Secrets of one project, within one transaction."""

    def __init__(
        self, session: AsyncSession, project: str, now_ms: int, rings: SecretRings
    ) -> None:
        self._session = session
        self._project = project
        self._now_ms = now_ms
        self._rings = rings

    async def held(self) -> Held:
        mine = Event.project == self._project, Event.state.in_([s.value for s in NOT_OVER])
        query = select(Event.kid, func.count()).where(*mine).group_by(Event.kid)
        counted = await self._session.execute(query)
        return Held(await self._all(), dict(counted.all()))

    async def create(self) -> ProjectSecret:
        """The next one; it signs from now on."""
        await self._change()
        held = await self._all()
        if len(held) >= MAX_SECRETS:
            raise Conflict(
                f"the project has {MAX_SECRETS} secrets already",
                "Retire those of the past: DELETE /v1/secrets/{kid}.",
            )
        made = ProjectSecret(
            project=self._project,
            kid=kid_after([each.kid for each in held]),
            secret=new_secret(),
            created_ms=self._now_ms,
        )
        self._session.add(made)
        await self._session.flush()
        return made

    async def retire(self, kid: str) -> None:
        """What it signed opens nothing any more."""
        await self._change()
        held = await self._all()
        secret = next((each for each in held if each.kid == kid), None)
        if secret is None:
            raise NotFound(
                f"there is no secret {kid[:80]!r} in this project",
                "List them with GET /v1/secrets.",
            )
        if secret is held[0]:
            raise Conflict(
                f"secret {kid} is the one that signs", "Make another first: POST /v1/secrets."
            )
        await self._require_unused(kid)
        await self._session.delete(secret)

    async def _require_unused(self, kid: str) -> None:
        mine = Event.project == self._project, Event.state.in_([s.value for s in NOT_OVER])
        query = select(Event.id).where(*mine, Event.kid == kid)
        newest = query.order_by(Event.created_ms.desc(), Event.id.desc())
        found = (await self._session.scalars(newest)).all()
        if not found:
            return
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise Conflict(
            f"stream keys of events that are not over come from secret {kid}: "
            f"{', '.join(found[:NAMED])}{more}",
            "Move each to the secret that signs with POST /v1/events/{id}/rotate-key, or retire "
            "the secret when they are over.",
        )

    async def _all(self) -> Sequence[ProjectSecret]:
        query = select(ProjectSecret).where(ProjectSecret.project == self._project)
        rows = (await self._session.scalars(query)).all()
        return sorted(rows, key=lambda row: number_of(row.kid), reverse=True)

    async def _change(self) -> None:
        await change_project(self._session, self._project)
        self._rings.forget_after(self._session, self._project)
