"""Asking a role whether it is up: over HTTP, or a Valkey PING.

A probe answers None when all is well and else why not, in words for the status table.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx2

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """200 means well; a `/readyz` body says why not."""

    url: str


@dataclass(frozen=True, slots=True)
class ValkeyProbe:
    host: str
    port: int


Probe = HttpProbe | ValkeyProbe


class Prober:
    """Runs probes over one HTTP connection pool; close it when done."""

    def __init__(self, trusted: Path | None = None) -> None:
        """`trusted`: PEM file with a certificate that our children may show."""
        # Proxies from the environment are for the world outside, not for our own children.
        verify = ssl.create_default_context(cafile=str(trusted)) if trusted else True
        self._http = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=verify)

    async def check(self, probe: Probe) -> str | None:
        if isinstance(probe, HttpProbe):
            return await self._http_check(probe)
        return await _valkey_check(probe)

    async def close(self) -> None:
        await self._http.aclose()

    async def _http_check(self, probe: HttpProbe) -> str | None:
        try:
            response = await self._http.get(probe.url)
        except httpx2.TimeoutException:
            return f"no answer within {TIMEOUT_S:.0f} s"
        except httpx2.TransportError:
            return "does not answer yet"
        if response.status_code == httpx2.codes.OK:
            return None
        return why_not_ready(response.status_code, response.text)


def why_not_ready(status: int, body: str) -> str:
    """The failed checks of a `/readyz` body, or the bare status."""
    try:
        checks = json.loads(body)["checks"]
        failed = [f"{name}: {why}" for name, why in checks.items() if why != "ok"]
    except (ValueError, KeyError, TypeError, AttributeError):
        failed = []
    return "; ".join(failed) or f"answers with status {status}"


async def _valkey_check(probe: ValkeyProbe) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(probe.host, probe.port)
            try:
                writer.write(b"PING\r\n")
                answer = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:.0f} s"
    except OSError:
        return "does not answer yet"
    # -LOADING while the append-only file is read.
    return None if answer.startswith(b"+PONG") else answer.decode(errors="replace").strip()
