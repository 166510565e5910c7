"""Viewer tokens: compact JWS (RFC 7515) with the claims below, verified offline.

Invariant: a token opens exactly the URL paths below its `pfx`, of one project and event, until
`exp`. It travels as a path prefix, `/t/{token}/live/...`, and so covers every child URL of a
playlist without cookies or queries.

Claims: `iss` "livepath", `prj` project, `evt` event, `pfx` path prefix, `sub` viewer id, `tier`
entitlement, `iat`/`exp` Unix seconds, `jti` token id. The header names the key by `kid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from infra.errors import TokenError

ALGORITHM = "HS256"
ISSUER = "livepath"
BROADCAST, CLIPS = "broadcast", "clips"
"""Entitlements: to watch, and to make clips as well."""


@dataclass(frozen=True, slots=True)
class ViewerClaims:
    project: str
    event: str
    path_prefix: str
    """Without a trailing slash, for example `/live/acme/ev_1`."""
    subject: str
    issued_at: int
    expires_at: int
    token_id: str
    tier: str = BROADCAST


def issue(claims: ViewerClaims, secret: bytes, kid: str) -> str:
    """Sign the claims with the project secret named `kid`."""
    payload: dict[str, Any] = {
        "iss": ISSUER,
        "prj": claims.project,
        "evt": claims.event,
        "pfx": claims.path_prefix,
        "sub": claims.subject,
        "tier": claims.tier,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "jti": claims.token_id,
    }
    return jwt.encode(payload, secret, algorithm=ALGORITHM, headers={"kid": kid})


def verify(token: str, secrets: Mapping[str, bytes], now: int) -> ViewerClaims:
    """Check signature, issuer and expiry against `now` (Unix seconds); raise `TokenError`.

    `secrets` maps kid to secret; the caller checks the path with `covers`.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid", "")
        secret = secrets.get(kid) if isinstance(kid, str) else None
        if secret is None:
            raise TokenError("the token is signed with a key that is not known here")
        # The clock is an argument, so the time claims are checked below.
        options: Any = {"require": ["exp", "iat"], "verify_exp": False, "verify_iat": False}
        body = jwt.decode(token, secret, algorithms=[ALGORITHM], issuer=ISSUER, options=options)
        claims = ViewerClaims(
            project=str(body["prj"]),
            event=str(body["evt"]),
            path_prefix=str(body["pfx"]),
            subject=str(body["sub"]),
            tier=str(body["tier"]),
            issued_at=int(body["iat"]),
            expires_at=int(body["exp"]),
            token_id=str(body["jti"]),
        )
    except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
        raise TokenError("the token does not verify") from error
    if now >= claims.expires_at:
        raise TokenError("the token has expired")
    return claims


def covers(claims: ViewerClaims, path: str) -> bool:
    """Whether the URL path lies at or below the token's prefix."""
    prefix = claims.path_prefix
    return bool(prefix) and (path == prefix or path.startswith(prefix + "/"))
