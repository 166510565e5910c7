"""Whether control, and the stack it speaks for, can do its work; asked in the background.

`/readyz` must answer at once, so one task asks every dependency each second and the checks only
read the last results.
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx2
from sqlalchemy import text

from infra.control.context import Databases
from infra.db.outage import DATABASE_ERRORS
from infra.telemetry.ops import Check

_UNKNOWN = "not checked yet"


class Readiness:
    """Polls the database and the other roles' `/readyz`; `run()` owns every request it makes."""

    def __init__(
        self,
        databases: Databases,
        urls: Mapping[str, str],
        *,
        interval_s: float = 1.0,
        timeout_s: float = 2.0,
        trusted: Path | None = None,
    ) -> None:
        """`trusted`: PEM file with a certificate that roles may show, beside the public ones."""
        self._databases = databases
        self._urls = dict(urls)
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._trusted = trusted
        self._results: dict[str, str | None] = dict.fromkeys(["database", *urls], _UNKNOWN)

    def checks(self) -> dict[str, Check]:
        """One check for each dependency, reading its last result."""
        return {name: self._check(name) for name in self._results}

    async def run(self) -> None:
        """Poll until cancelled."""
        # Proxies of the environment must not stand between roles of one deployment.
        async with httpx2.AsyncClient(
            timeout=self._timeout_s, trust_env=False, verify=self._verify()
        ) as client:
            while True:
                await self.poll(client)
                await asyncio.sleep(self._interval_s)

    async def poll(self, client: httpx2.AsyncClient) -> None:
        """Ask every dependency once, side by side."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll_database())
            for role, url in self._urls.items():
                group.create_task(self._poll_role(client, role, url))

    def _verify(self) -> ssl.SSLContext | bool:
        if self._trusted is None:
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(self._trusted)
        return context

    def _check(self, name: str) -> Check:
        return lambda: self._results[name]

    async def _poll_database(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), self._databases.reading() as session:
                await session.execute(text("SELECT 1"))
        except TimeoutError:
            self._results["database"] = f"no answer within {self._timeout_s:g} s"
        except DATABASE_ERRORS as error:
            self._results["database"] = f"no answer ({type(error).__name__})"
        else:
            self._results["database"] = None

    async def _poll_role(self, client: httpx2.AsyncClient, role: str, url: str) -> None:
        try:
            response = await client.get(url)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._results[role] = f"{url} does not answer ({type(error).__name__})"
        else:
            self._results[role] = None if response.status_code == 200 else _why(response)


def _why(response: httpx2.Response) -> str:
    try:
        checks = response.json()["checks"]
        told = "; ".join(f"{name}: {why}" for name, why in checks.items() if why != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        told = ""
    return told or f"{response.url} answered {response.status_code}"
