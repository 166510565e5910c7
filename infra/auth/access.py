"""Who may watch, and how: viewer tokens, checked offline and remembered.

Invariant: a decision depends on the last table that `set` was given, the URL, the viewer's address
and the time; control is never asked. Verified tokens are cached within a bound, and forgotten when
keys change. Upstream: `hotpath.hls.origin`, `hotpath.fanout`. Tokens: `infra.auth.tokens`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from infra.auth import tokens
from infra.auth.jws import VerifyingKey
from infra.auth.policy import UNLIMITED, Rights, decide
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChanges
from infra.auth.tokens import ViewerClaims
from infra.errors import TokenError

PUBLIC, NOBODY = "public", "nobody"
"""Access to events. `nobody`: publishers stand by until the event starts."""


@dataclass(frozen=True, slots=True)
class Denied:
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    claims: ViewerClaims | None
    """None: no token was needed."""
    rights: Rights


_TOO_EARLY = Denied(403, "the event has not started")
_NO_TOKEN = Denied(401, "this event needs a viewer token: /t/{token}/live/...")
_ELSEWHERE = Denied(403, "the token is for something else")
_AWAY = Denied(403, "the token is good from another address")
_CALLED_BACK = Denied(401, "the token was called back")
_EVERYBODY = Admitted(None, UNLIMITED)


class Access:
    """The access table of one node; see the module for the invariant."""

    def __init__(self, clock: Callable[[], int], cache_size: int = 20_000) -> None:
        self._clock = clock
        self._cache_size = cache_size
        self._projects: Mapping[str, Mapping[str, VerifyingKey]] = {}
        self._events: Mapping[str, str] = {}
        self._revoked: Mapping[str, Revoked] = {}
        self._changes: Mapping[str, TierChanges] = {}
        self._verified: OrderedDict[tuple[str, str], tuple[ViewerClaims, Admitted]]
        self._verified = OrderedDict()

    def set(
        self,
        projects: Mapping[str, Mapping[str, VerifyingKey]],
        events: Mapping[str, str],
        revoked: Mapping[str, Revoked] | None = None,
        changes: Mapping[str, TierChanges] | None = None,
    ) -> None:
        """`projects`: project -> kid -> secret or public key; `events`: event -> `public`, `token`,
        `nobody`; `revoked`: event -> tokens that open nothing any more; `changes`: event -> tiers
        that take the place of those in tokens."""
        if projects != self._projects:
            self._projects = {project: dict(keys) for project, keys in projects.items()}
            self._verified.clear()
        self._events = dict(events)
        self._revoked = dict(revoked or {})
        self._changes = dict(changes or {})

    def check(
        self, project: str, event: str, path: str, token: str | None, default: str
    ) -> Denied | None:
        """None if `path` may be read, as `admit`."""
        found = self.admit(project, event, path, token, default)
        return found if isinstance(found, Denied) else None

    def admit(
        self,
        project: str,
        event: str,
        path: str,
        token: str | None,
        default: str,
        *,
        address: str = "",
    ) -> Admitted | Denied:
        """Whether `path` (without the token prefix) may be read from `address`, and what else there
        is to it; whether by this way, the rights say.

        `default` is the access of an event that the table does not hold.
        """
        access = self._events.get(event, default)
        if access == NOBODY:
            return _TOO_EARLY
        if access == PUBLIC:
            return _EVERYBODY
        if token is None:
            return _NO_TOKEN
        try:
            claims, admitted = self._known(project, token)
        except TokenError as error:
            return Denied(401, str(error))
        return self._beyond(claims, project, event, path, address) or self._now(claims, admitted)

    def _beyond(
        self, claims: ViewerClaims, project: str, event: str, path: str, address: str
    ) -> Denied | None:
        """Why a good token is not good for this."""
        if claims.project != project or claims.event != event or not tokens.covers(claims, path):
            return _ELSEWHERE
        if not tokens.good_from(claims, address):
            return _AWAY
        revoked = self._revoked.get(event)
        if revoked is not None and revoked.covers(claims):
            return _CALLED_BACK
        return None

    def _now(self, claims: ViewerClaims, admitted: Admitted) -> Admitted:
        """With the tier that the viewer has by now."""
        changes = self._changes.get(claims.event)
        change = None if changes is None else changes.change_of(claims)
        if change is None:
            return admitted
        return Admitted(claims, decide(claims.role, change.tier, change.cap))

    def raised(
        self, project: str, event: str, path: str, token: str | None, *, address: str = ""
    ) -> Rights:
        """What is due to somebody where no token is needed: with a good one, its priority."""
        try:
            claims, admitted = self._known(project, token or "")
        except TokenError:
            return UNLIMITED
        if self._beyond(claims, project, event, path, address) is not None:
            return UNLIMITED
        return replace(UNLIMITED, priority=self._now(claims, admitted).rights.priority)

    def lasts_s(self, project: str, token: str) -> int | None:
        """Seconds until the token expires; None for one that does not verify."""
        claims = self.claims(project, token)
        return None if claims is None else claims.expires_at - self._clock()

    def claims(self, project: str, token: str) -> ViewerClaims | None:
        """What the token says; None for one that does not verify."""
        try:
            return self._known(project, token)[0]
        except TokenError:
            return None

    def _known(self, project: str, token: str) -> tuple[ViewerClaims, Admitted]:
        now = self._clock()
        known = self._verified.get((project, token))
        if known is None:
            claims = tokens.verify(token, self._projects.get(project, {}), now)
            rights = decide(claims.role, claims.tier, claims.cap)
            known = self._verified[project, token] = claims, Admitted(claims, rights)
            if len(self._verified) > self._cache_size:
                self._verified.popitem(last=False)
        elif now >= known[0].expires_at:
            del self._verified[project, token]
            raise TokenError("the token has expired")
        return known
