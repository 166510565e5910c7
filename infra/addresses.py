"""Names to addresses, where only addresses will do: ICE candidates and sockets.

Waits for the resolver, so it is called at start, before anything is served.
"""

import ipaddress
import socket
from collections.abc import Iterable

from infra.errors import ConfigurationError


def addresses_of(hosts: Iterable[str], setting: str) -> list[str]:
    """Every address of `hosts`, in order and once each; `setting` is named when one has none."""
    found: dict[str, None] = {}
    for host in hosts:
        for address in _addresses(host, setting):
            found[address] = None
    return list(found)


def _addresses(host: str, setting: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))]
    except ValueError:
        pass
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"{setting}: {host[:80]!r} cannot be resolved to an address ({error}); "
            "write the address that clients reach, such as 203.0.113.7"
        ) from error
    return [str(answer[4][0]) for answer in answers]
