"""TURN servers that clients are told of, with credentials that end by themselves.

Upstream: settings. Downstream: the `Link` headers of WHIP and WHEP answers. Pure.
Spec: draft-uberti-behave-turn-rest-00 (what coturn calls `use-auth-secret`); RFC 9725 4.6.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TurnServers:
    urls: Sequence[str] = ()
    """For example `turn:turn.example.org:3478?transport=udp`."""
    secret: bytes = field(default=b"", repr=False)
    """The servers' static-auth-secret; empty: they need no credentials (`stun:`)."""
    ttl_s: int = 43_200


def credentials(secret: bytes, name: str, expires_s: int) -> tuple[str, str]:
    """User name and password that the TURN server takes until `expires_s` (Unix)."""
    username = f"{expires_s}:{name}"
    # coturn knows no other hash here.
    digest = hmac.digest(secret, username.encode(), hashlib.sha1)
    return username, base64.b64encode(digest).decode()


def ice_server_links(servers: TurnServers, name: str, now_s: int) -> list[str]:
    """One `Link` value for each server. `name` says whose credentials they are, in TURN's logs."""
    links = []
    for url in servers.urls:
        link = f'<{url}>; rel="ice-server"'
        if servers.secret and url.startswith(("turn:", "turns:")):
            username, password = credentials(servers.secret, name, now_s + servers.ttl_s)
            link += f'; username="{username}"; credential="{password}"'
            link += '; credential-type="password"'
        links.append(link)
    return links
