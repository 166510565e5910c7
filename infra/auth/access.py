"""Who may watch: viewer tokens in the URL, checked offline and remembered.

Invariant: a decision depends on the last table that `set` was given, the URL and the time; control
is never asked. Verified tokens are cached within a bound, and forgotten when the table changes.
Upstream: `origin`. Tokens: `infra.auth.tokens`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.auth import tokens
from infra.auth.revocation import Revoked
from infra.auth.tokens import ViewerClaims
from infra.errors import TokenError

PUBLIC, NOBODY = "public", "nobody"
"""Access to events. `nobody`: publishers stand by until the event starts."""


@dataclass(frozen=True, slots=True)
class Denied:
    status: int
    reason: str


class Access:
    """The access table of one origin; see the module for the invariant."""

    def __init__(self, clock: Callable[[], int], cache_size: int = 20_000) -> None:
        self._clock = clock
        self._cache_size = cache_size
        self._projects: Mapping[str, Mapping[str, bytes]] = {}
        self._events: Mapping[str, str] = {}
        self._revoked: Mapping[str, Revoked] = {}
        self._verified: OrderedDict[tuple[str, str], ViewerClaims] = OrderedDict()

    def set(
        self,
        projects: Mapping[str, Mapping[str, bytes]],
        events: Mapping[str, str],
        revoked: Mapping[str, Revoked] | None = None,
    ) -> None:
        """`projects`: project -> kid -> secret; `events`: event -> `public`, `token`, `nobody`;
        `revoked`: event -> tokens that open nothing any more."""
        self._projects = {project: dict(secrets) for project, secrets in projects.items()}
        self._events = dict(events)
        self._revoked = dict(revoked or {})
        self._verified.clear()

    def check(
        self, project: str, event: str, path: str, token: str | None, default: str
    ) -> Denied | None:
        """None if `path` (without the token prefix) may be read.

        `default` is the access of an event that the table does not hold.
        """
        access = self._events.get(event, default)
        if access == NOBODY:
            return Denied(403, "the event has not started")
        if access == PUBLIC:
            return None
        if token is None:
            return Denied(401, "this event needs a viewer token: /t/{token}/live/...")
        try:
            claims = self._claims(project, token)
        except TokenError as error:
            return Denied(401, str(error))
        return self._beyond(claims, project, event, path)

    def _beyond(self, claims: ViewerClaims, project: str, event: str, path: str) -> Denied | None:
        """Why a good token is not good for this."""
        if claims.project != project or claims.event != event or not tokens.covers(claims, path):
            return Denied(403, "the token is for something else")
        revoked = self._revoked.get(event)
        if revoked is not None and revoked.covers(claims):
            return Denied(401, "the token was called back")
        return None

    def lasts_s(self, project: str, token: str) -> int | None:
        """Seconds until the token expires; None for one that does not verify."""
        claims = self.claims(project, token)
        return None if claims is None else claims.expires_at - self._clock()

    def claims(self, project: str, token: str) -> ViewerClaims | None:
        """What the token says; None for one that does not verify."""
        try:
            return self._claims(project, token)
        except TokenError:
            return None

    def _claims(self, project: str, token: str) -> ViewerClaims:
        now = self._clock()
        known = self._verified.get((project, token))
        if known is None:
            known = tokens.verify(token, self._projects.get(project, {}), now)
            self._verified[project, token] = known
            if len(self._verified) > self._cache_size:
                self._verified.popitem(last=False)
        elif now >= known.expires_at:
            del self._verified[project, token]
            raise TokenError("the token has expired")
        return known
