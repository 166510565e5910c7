"""Whose request it is that came through proxies: the client's address, taken from no stranger.

Invariant: an address counts only if a trusted proxy has named it; each one in the list was added by
the machine named after it, so the list is read from its end for as long as those are trusted. Pure.
Upstream: HTTP servers of media nodes. Spec of the header: `X-Forwarded-For`, as proxies write it.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

_KEPT = 4096


class Proxies:
    """Those that are trusted; see the module for the invariant."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        """`trusted`: addresses and networks. Raises ValueError for what is none of them."""
        self._trusted = tuple(ipaddress.ip_network(each, strict=False) for each in trusted)
        self._known = lru_cache(_KEPT)(self._trusts)

    def __bool__(self) -> bool:
        return bool(self._trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """Who has sent the request. `peer`: who has the connection; `forwarded`: the header."""
        found = peer
        if not self._trusted or not forwarded:
            return found
        for each in reversed(forwarded.split(",")):
            if not self._known(found):
                break
            found = each.strip()
        return found

    def _trusts(self, address: str) -> bool:
        try:
            machine = ipaddress.ip_address(address)
        except ValueError:
            return False
        machine = getattr(machine, "ipv4_mapped", None) or machine
        return any(machine in network for network in self._trusted)
