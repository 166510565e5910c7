"""HTTP as a player uses it, with the times at which things came.

Invariant: a request always gives an `Exchange`, whatever happens to it; a body is never longer
than `MAX_BYTES`. Upstream: `observe`, `probes`. Downstream: any HTTP server.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx2

from conformance.observation import Exchange

MAX_BYTES = 64 * 1024 * 1024
CONNECT_S = 5.0


def with_query(url: str, **directives: int | str | None) -> str:
    """The URL with delivery directives, sorted by name as 6.3.2 wants."""
    given = sorted((name, value) for name, value in directives.items() if value is not None)
    parts = urlsplit(url)
    query = "&".join(piece for piece in (parts.query, urlencode(given)) if piece)
    return urlunsplit(parts._replace(query=query))


class Client:
    """Use with `async with`; `read_s` is how long an answer may take."""

    def __init__(self, *, insecure: bool = False, read_s: float = 30.0) -> None:
        self._context = ssl.create_default_context()
        if insecure:
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._client = httpx2.AsyncClient(
            verify=self._context,
            timeout=httpx2.Timeout(CONNECT_S, read=read_s),
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
            follow_redirects=True,
            headers={"user-agent": "livepath-conformance", "accept-encoding": "gzip"},
        )
        self._began = 0.0

    async def __aenter__(self) -> Self:
        self._began = asyncio.get_running_loop().time()
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(type, error, traceback)

    @property
    def now(self) -> float:
        """Seconds since the observation began."""
        return asyncio.get_running_loop().time() - self._began

    async def ask(self, url: str, method: str = "GET") -> tuple[Exchange, bytes]:
        asked = self.now
        try:
            async with self._client.stream(method, url) as response:
                head = first = self.now
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    first = first if body else self.now
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return self._none(url, asked, f"more than {MAX_BYTES} bytes", method), b""
                headers = tuple((k.lower(), v) for k, v in response.headers.items())
                done = self.now
                found = Exchange(
                    url, asked, head, first, done, response.status_code, headers, len(body),
                    method=method,
                )  # fmt: skip
                return found, bytes(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
            return self._none(url, asked, f"{type(error).__name__}: {error}", method), b""

    def _none(self, url: str, asked: float, why: str, method: str) -> Exchange:
        now = self.now
        return Exchange(url, asked, now, now, now, 0, trouble=why.strip(": "), method=method)

    async def protocol(self, url: str) -> str | None:
        """What ALPN chooses; None where there is no TLS."""
        parts = urlsplit(url)
        if parts.scheme != "https":
            return None
        context = ssl.create_default_context()
        context.check_hostname = self._context.check_hostname
        context.verify_mode = self._context.verify_mode
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or 443, ssl=context
                )
        except (OSError, TimeoutError):
            return ""
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        return chosen or ""
