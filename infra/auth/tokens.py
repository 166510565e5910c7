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

from infra.auth.jws import ALGORITHM, payload_of
from infra.errors import TokenError

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
    body = payload_of(token, secrets)
    try:
        claims = ViewerClaims(
            project=_text(body["prj"]),
            event=_text(body["evt"]),
            path_prefix=_text(body["pfx"]),
            subject=_text(body["sub"]),
            tier=_text(body["tier"]),
            issued_at=_seconds(body["iat"]),
            expires_at=_seconds(body["exp"]),
            token_id=_text(body["jti"]),
        )
        begins = _seconds(body.get("nbf", 0))
    except (KeyError, ValueError) as error:
        raise TokenError("the token does not verify") from error
    if body.get("iss") != ISSUER or now < begins:
        raise TokenError("the token does not verify")
    if now >= claims.expires_at:
        raise TokenError("the token has expired")
    return claims


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a claim that is no text")
    return value


def _seconds(value: object) -> int:
    if type(value) is not int:
        raise ValueError("a time that is no whole number of seconds")
    return value


def covers(claims: ViewerClaims, path: str) -> bool:
    """Whether the URL path lies at or below the token's prefix."""
    prefix = claims.path_prefix
    return bool(prefix) and (path == prefix or path.startswith(prefix + "/"))
