"""Who may watch what is finished: the rule of the media nodes, with the database as its table.

Invariant: a decision depends on the programme that a key names, on the token, on where the viewer
is, and on what the database said within the last two seconds; while it is away, on what it said
last. However many ask for an event at once, the database is asked once. A token that opens the live
stream of a programme opens its recording, whatever its tier.

Upstream: `routes.objects`, `routes.playback`. Tokens: `infra.auth.tokens`.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.auth import tokens
from infra.auth.jws import VerifyingKey
from infra.auth.policy import UNLIMITED, Rights, decide
from infra.auth.revocation import Revoked
from infra.auth.signing import public_key
from infra.auth.tier_changes import TierChanges
from infra.auth.tokens import ViewerClaims
from infra.control.problems import BadViewerToken, Forbidden, NotFound, database_unavailable
from infra.control.revoked import changes_of, revoked_of
from infra.db.control import UNSEEN, Event, ProjectSecret, SigningKey
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.errors import TokenError
from infra.keys import ProgramKey, is_name
from infra.lifecycle import EventState

FRESH_MS = 2_000
KNOWN = 2_048
"""Events that are remembered, and as many that are not there."""
_FIX = "Ask the organiser for a link of your own; it carries the token."


@dataclass(frozen=True, slots=True)
class Admission:
    """A viewer who was let in."""

    public: bool
    """The event is open to everybody."""
    claims: ViewerClaims | None
    """Of the viewer's token; None: there is none, or none that is good for this event."""
    rights: Rights
    """How it may watch what is live."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An event as the database had it."""

    project: str
    public: bool
    keys: Mapping[str, VerifyingKey]
    revoked: Revoked
    changes: TierChanges
    at_ms: int


class Viewing:
    """See the module for the invariant."""

    def __init__(
        self, reading: async_sessionmaker[AsyncSession], now_ms: Callable[[], int]
    ) -> None:
        self._reading = reading
        self._now_ms = now_ms
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._absent: OrderedDict[str, int] = OrderedDict()
        """Event that is not there, or that viewers do not see -> when that was so."""
        self._asking: dict[str, asyncio.Future[_Known | None]] = {}

    async def require(self, program: ProgramKey, token: str | None, address: str) -> Admission:
        """Lets the viewer at `address` in, or raises what is to be answered."""
        known = await self._event(program.event)
        if known is None or known.project != program.project:
            raise NotFound("there is no such recording", "Ask the organiser for the link.")
        return self._admission(known, program, token, address)

    async def enter(self, event: str, feed: str, token: str | None, address: str) -> Admission:
        """The same for a feed of an event, whatever the project."""
        known = await self._event(event) if is_name(event) else None
        if known is None:
            raise NotFound(f"there is no event {event[:80]!r}", "Ask the organiser for the link.")
        return self._admission(known, ProgramKey(known.project, event, feed), token, address)

    def _admission(
        self, known: _Known, program: ProgramKey, token: str | None, address: str
    ) -> Admission:
        try:
            claims = self._claims(known, program, token, address)
        except (BadViewerToken, Forbidden):
            if known.public:
                return Admission(public=True, claims=None, rights=UNLIMITED)
            raise
        change = known.changes.change_of(claims)
        tier, cap = (claims.tier, claims.cap) if change is None else (change.tier, change.cap)
        rights = UNLIMITED if known.public else decide(claims.role, tier, cap)
        return Admission(known.public, claims, rights)

    def _claims(
        self, known: _Known, program: ProgramKey, token: str | None, address: str
    ) -> ViewerClaims:
        if token is None:
            raise BadViewerToken("this event needs a viewer token", _FIX)
        try:
            claims = tokens.verify(token, known.keys, self._now_ms() // 1000)
        except TokenError as error:
            raise BadViewerToken(str(error), _FIX) from error
        if known.revoked.covers(claims):
            raise BadViewerToken("the token was called back", _FIX)
        opens = tokens.covers(claims, f"/live/{program}")
        if (claims.project, claims.event) != (program.project, program.event) or not opens:
            raise Forbidden("the token is for something else", _FIX)
        if not tokens.good_from(claims, address):
            raise Forbidden("the token is good from another address", _FIX)
        return claims

    async def _event(self, event: str) -> _Known | None:
        now = self._now_ms()
        known = self._known.get(event)
        if known is not None and abs(now - known.at_ms) < FRESH_MS:
            return known
        if abs(now - self._absent.get(event, -FRESH_MS)) < FRESH_MS:
            return None
        try:
            found = await self._asked(event, now)
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            if known is None:
                raise database_unavailable() from error
            return known
        return found

    async def _asked(self, event: str, now: int) -> _Known | None:
        """What the database says; who comes meanwhile is told with who asked first."""
        while (asking := self._asking.get(event)) is not None:
            await asyncio.wait([asking])
            # Whoever asked may have left.
            if not asking.cancelled():
                return asking.result()
        asking = self._asking[event] = asyncio.get_running_loop().create_future()
        try:
            found = await self._ask(event, now)
            self._remember(event, found, now)
            asking.set_result(found)
        except Exception as error:
            asking.set_exception(error)
            # Also where nobody else waits.
            asking.exception()
            raise
        finally:
            del self._asking[event]
            asking.cancel()
        return found

    def _remember(self, event: str, found: _Known | None, now: int) -> None:
        self._known.pop(event, None)
        self._absent.pop(event, None)
        # Apart, so that names that somebody makes up push out nothing that there is.
        if found is None:
            self._absent[event] = now
        else:
            self._known[event] = found
        for kept in (self._known, self._absent):
            if len(kept) > KNOWN:
                kept.popitem(last=False)

    async def _ask(self, event: str, now: int) -> _Known | None:
        async with self._reading() as session:
            row = await session.get(Event, event)
            if row is None or EventState(row.state) in UNSEEN:
                return None
            rows = await session.scalars(
                select(ProjectSecret).where(ProjectSecret.project == row.project)
            )
            keys: dict[str, VerifyingKey] = {
                secret.kid: base64.b64decode(secret.secret) for secret in rows
            }
            signing = select(SigningKey).where(SigningKey.project == row.project)
            keys |= {key.id: public_key(key.public) for key in await session.scalars(signing)}
            revoked = await revoked_of(session, event, now)
            changes = await changes_of(session, event, now)
            return _Known(row.project, row.access == "public", keys, revoked, changes, now)
