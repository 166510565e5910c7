"""Viewer tokens: compact JWS (RFC 7515) with the claims below, verified offline.

Invariant: a token opens exactly the URL paths below its `pfx`, of one project and event, until
`exp`. It travels as a path prefix, `/t/{token}/live/...`, and so covers every child URL of a
playlist without cookies or queries.

Claims: `iss` "livepath", `prj` project, `evt` event, `pfx` path prefix, `sub` viewer id, `role` and
`tier` of `infra.auth.policy`, `iat`/`exp` Unix seconds, `jti` token id; where they matter, `cap` (a
rung: nothing taller is shown), `clips` (true: may make clips), `ip` (a network in CIDR form: good
from there alone). The header names the key by `kid`. A token without `role` is from before there
were roles, and has what tokens had then: a viewer's, with clips if its `tier` is "clips".
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.auth.jws import EDDSA, HS256, VerifyingKey, payload_of
from infra.auth.policy import ROLES, Role, Tier
from infra.errors import TokenError
from infra.renditions import RUNGS

ISSUER = "livepath"
_CLIPS_BEFORE = "clips"
_ROLES, _TIERS = {role.value: role for role in Role}, {tier.value: tier for tier in Tier}
"""An enumeration takes longer to look itself up."""
SigningKey: TypeAlias = bytes | Ed25519PrivateKey
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
    role: Role = Role.VIEWER
    tier: Tier = Tier.STANDARD
    cap: str | None = None
    """Name of a rung: nothing taller is shown."""
    clips: bool = False
    """May make clips as well."""
    network: str | None = None
    """From which addresses it is good, in CIDR form; None: from everywhere."""


def issue(claims: ViewerClaims, key: SigningKey, kid: str) -> str:
    """Sign the claims with the project's secret, or private key, named `kid`."""
    payload: dict[str, Any] = {
        "iss": ISSUER,
        "prj": claims.project,
        "evt": claims.event,
        "pfx": claims.path_prefix,
        "sub": claims.subject,
        "role": claims.role.value,
        "tier": claims.tier.value,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "jti": claims.token_id,
    }
    more = {"cap": claims.cap, "clips": claims.clips or None, "ip": claims.network}
    payload |= {name: value for name, value in more.items() if value is not None}
    algorithm = HS256 if isinstance(key, bytes) else EDDSA
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid})


def verify(token: str, keys: Mapping[str, VerifyingKey], now: int) -> ViewerClaims:
    """Check signature, issuer and expiry against `now` (Unix seconds); raise `TokenError`.

    `keys` are those of one project by kid; the caller checks the path with `covers`, and the
    viewer's address with `good_from`.
    """
    body = payload_of(token, keys)
    try:
        role, tier, clips = _entitlements(body)
        claims = ViewerClaims(
            project=_text(body["prj"]),
            event=_text(body["evt"]),
            path_prefix=_text(body["pfx"]),
            subject=_text(body["sub"]),
            issued_at=_seconds(body["iat"]),
            expires_at=_seconds(body["exp"]),
            token_id=_text(body["jti"]),
            role=role,
            tier=tier,
            cap=_rung(body.get("cap")),
            clips=clips,
            network=_network(body.get("ip")),
        )
        begins = _seconds(body.get("nbf", 0))
    except (KeyError, ValueError) as error:
        raise TokenError("the token does not verify") from error
    if body.get("iss") != ISSUER or now < begins:
        raise TokenError("the token does not verify")
    if now >= claims.expires_at:
        raise TokenError("the token has expired")
    return claims


def _entitlements(body: Mapping[str, Any]) -> tuple[Role, Tier, bool]:
    tier = _text(body["tier"])
    if "role" not in body:
        return Role.VIEWER, ROLES[Role.VIEWER].tier, tier == _CLIPS_BEFORE
    clips = body.get("clips", False)
    if type(clips) is not bool:
        raise ValueError("clips that are neither allowed nor not")
    return _ROLES[_text(body["role"])], _TIERS[tier], clips


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a claim that is no text")
    return value


def _seconds(value: object) -> int:
    if type(value) is not int:
        raise ValueError("a time that is no whole number of seconds")
    return value


def _rung(value: object) -> str | None:
    if value is None:
        return None
    if _text(value) not in RUNGS:
        raise ValueError("a cap that is no rung of the ladder")
    return _text(value)


def _network(value: object) -> str | None:
    if value is None:
        return None
    _parsed(_text(value))
    return _text(value)


@lru_cache(maxsize=4096)
def _parsed(network: str) -> Network:
    return ipaddress.ip_network(network)


def covers(claims: ViewerClaims, path: str) -> bool:
    """Whether the URL path lies at or below the token's prefix."""
    prefix = claims.path_prefix
    return bool(prefix) and (path == prefix or path.startswith(prefix + "/"))


def good_from(claims: ViewerClaims, address: str) -> bool:
    """Whether the token is good for a viewer at this address; empty: it is not known."""
    if claims.network is None:
        return True
    try:
        viewer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(viewer, "ipv4_mapped", None)
    return (mapped or viewer) in _parsed(claims.network)


def network_of(address: str, *, exact: bool) -> str:
    """What a token is bound to that is good from `address`, or from its neighbours as well: an IPv4
    /24, an IPv6 /64, which is what one line has. Raises ValueError for what is no address."""
    viewer = ipaddress.ip_address(address)
    viewer = getattr(viewer, "ipv4_mapped", None) or viewer
    near = 24 if viewer.version == 4 else 64
    length = viewer.max_prefixlen if exact else near
    return str(ipaddress.ip_network((viewer, length), strict=False))
