"""One attempt: a signed POST, and what came of it.

Invariant: an attempt ends within its time limit, whatever the endpoint does, and at most
`EXCERPT_BYTES` of its answer are kept. Redirects are not followed: the answer counts as a failure.
Every attempt has a connection of its own, so every attempt passes the guard.

Upstream: the dispatcher. Downstream: `infra.webhooks.guard`, the network.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext

import httpcore2
import httpx2
import structlog

from infra.webhooks.guard import EndpointRefused, Guard, GuardedNetwork

_log = structlog.get_logger(__name__)
TIMEOUT_S = 15.0
EXCERPT_BYTES = 1_024
_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt."""

    duration_ms: int
    status: int | None = None
    """None: there was no answer."""
    error: str | None = None
    """In words, of an attempt that failed."""
    excerpt: str = ""
    retry_after: str | None = None

    @property
    def good(self) -> bool:
        return self.error is None


class Sender:
    """Sends; `close` ends its connections."""

    def __init__(
        self, guard: Guard, *, timeout_s: float = TIMEOUT_S, trusted: SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._timeout_s = timeout_s
        self._pool = httpcore2.AsyncConnectionPool(
            # One for all connections: reading the root certificates takes 40 ms.
            ssl_context=trusted or httpx2.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=GuardedNetwork(guard, httpcore2.AnyIOBackend()),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises for what an endpoint does."""
        began = time.perf_counter()

        def took() -> int:
            return round((time.perf_counter() - began) * 1000)

        try:
            async with asyncio.timeout(self._timeout_s):
                status, retry_after, excerpt = await self._exchange(url, headers, body)
        except TimeoutError:
            return Answer(took(), error=f"no answer within {self._timeout_s:g} s")
        except EndpointRefused as error:
            return Answer(took(), error=str(error)[:300])
        except _ERRORS as error:
            return Answer(took(), error=_words(error))
        except Exception:  # noqa: BLE001 -- what one endpoint answers must not end the process
            _log.exception("an endpoint brought out a bug")
            return Answer(took(), error="the answer could not be read")
        return Answer(took(), status, _complaint(status), excerpt, retry_after)

    async def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str | None, str]:
        target = self._guard.parse(url)
        request = httpcore2.URL(
            scheme=target.raw_scheme,
            host=target.raw_host,
            port=target.port,
            target=target.raw_path,
        )
        sent = [
            ("Content-Type", "application/json"),
            ("User-Agent", "Livepath-Webhooks/1"),
            *headers.items(),
        ]
        async with self._pool.stream("POST", request, headers=sent, content=body) as response:
            kept = bytearray()
            async for chunk in response.aiter_stream():
                kept += chunk[: EXCERPT_BYTES - len(kept)]
                if len(kept) >= EXCERPT_BYTES:
                    break
            found = {name.lower(): value for name, value in response.headers}
            retry_after = found.get(b"retry-after")
        return (
            response.status,
            None if retry_after is None else retry_after.decode("latin-1"),
            _readable(bytes(kept)),
        )


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


def _words(error: Exception) -> str:
    said = str(error).strip()
    kind = type(error).__name__
    return _readable((f"{kind}: {said}" if said else kind)[:300].encode(errors="replace"))


def _readable(body: bytes) -> str:
    # Postgres holds no NUL.
    return body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
