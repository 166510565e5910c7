"""The guard before every connection of a webhook: nobody reaches our own network through us.

Invariant: a name is resolved once for each connection, every address that it has must be allowed,
and the connection goes to one of exactly these addresses; a name that means something else a moment
later (DNS rebinding) gains nothing. The name itself stays in `Host` and in the TLS handshake, so
the certificate must be that of the name.

Upstream: `infra.webhooks.sending` for deliveries, the control API when an endpoint is named.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpcore2
import httpx2
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

from infra.errors import LivepathError
from infra.webhooks.addresses import refusal

MAX_URL = 2_000
LOOKUP_S = 5.0
_LOOKUPS = 8
"""Threads: a name server that does not answer holds up names of webhooks, and nothing else."""
_TRIED = 3
"""Addresses of a name that are connected to before it counts as unreachable."""
Resolve = Callable[[str, int], Sequence[str]]
"""Blocking: name and port to addresses as text; raises OSError."""


class EndpointRefused(LivepathError):
    """Nothing is sent to this address."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


def resolve(host: str, port: int) -> Sequence[str]:
    """What the machine's resolver says, without doubles."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator permits beyond https to the public internet."""

    http: bool = False
    private: bool = False


class Guard:
    """Checks URLs and addresses; `close` ends its threads."""

    def __init__(self, allowed: Allowed, resolver: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolver
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="webhook-dns")

    async def check(self, url: str) -> None:
        """Raises `EndpointRefused` unless deliveries to the URL would be tried now."""
        parsed = self.parse(url)
        host = parsed.raw_host.decode("ascii")
        await self.addresses(host, parsed.port or _PORTS[parsed.scheme])

    def parse(self, url: str) -> httpx2.URL:
        """The URL as it will be requested; the one parser is that of the HTTP client."""
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise EndpointRefused("the URL cannot be read", _URL_FIX) from error
        if parsed.scheme not in ("https", *(("http",) if self._allowed.http else ())):
            raise EndpointRefused(
                f"the scheme is {parsed.scheme or 'missing'}, not https",
                "Serve the endpoint over https; LIVEPATH_WEBHOOK_HTTP=true allows http.",
            )
        named = _HOST.fullmatch(parsed.raw_host) is not None
        if (
            not named
            or not 0 < (parsed.port or 443) < 65_536
            or parsed.userinfo
            or parsed.fragment
            or len(url) > MAX_URL
        ):
            raise EndpointRefused("the URL has no host, or has a user or a fragment", _URL_FIX)
        return parsed

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of the host, all of them allowed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await loop.run_in_executor(self._threads, self._resolve, host, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise EndpointRefused(
                f"the name {host[:200]} has no address",
                "Check the name; it must be in the public DNS.",
            ) from error
        for address in found:
            why = refusal(ipaddress.ip_address(address), private=self._allowed.private)
            if why is not None:
                raise EndpointRefused(
                    f"{host[:200]} leads to {address}, which is refused ({why})",
                    "Use an endpoint of the public internet; LIVEPATH_WEBHOOK_PRIVATE=true allows "
                    "private networks and this machine.",
                )
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedNetwork(AsyncNetworkBackend):
    """Connects where the guard says, under the name that was asked for."""

    def __init__(self, guard: Guard, network: AsyncNetworkBackend) -> None:
        self._guard = guard
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """To the first of the host's addresses that answers."""
        addresses = list(await self._guard.addresses(host, port))[:_TRIED]
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(
            addresses[-1], port, timeout, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_HOST = re.compile(rb"[0-9A-Za-z._:-]+")
_PORTS = {"https": 443, "http": 80}
_URL_FIX = "Write https://host/path, without user, password or fragment, at most 2,000 characters."
