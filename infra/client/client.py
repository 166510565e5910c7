"""`Client` and `AsyncClient`: the control API for Python programs.

Both have the same groups of operations; those of `AsyncClient` are awaited. A client holds
connections, so make one and close it. Downstream: any deployment's control API; this package knows
nothing of the server's code.
"""

import ssl
from collections.abc import AsyncGenerator, Generator, Sequence
from types import TracebackType
from typing import Generic, Self

import httpx2

from infra.client.asynchronous import AwaitedWire
from infra.client.blocking import BlockingWire
from infra.client.errors import BadValue
from infra.client.events import Events
from infra.client.following import Following
from infra.client.groups import Awaited, Blocking, W
from infra.client.hooks import Webhooks
from infra.client.jobs import Functions, Jobs
from infra.client.models import Message
from infra.client.nodes import Nodes
from infra.client.overview import Overview
from infra.client.retries import Retries
from infra.client.signing import SecretGroup, SigningKeyGroup
from infra.client.tenants import Audit, Keys, Organisations, Projects
from infra.client.timeline import Assets, Clips, Markers, Replays

_AGENT = "livepath-python/1"


class _Groups(Generic[W]):
    def __init__(self, wire: W) -> None:
        self.events: Events[W] = Events(wire)
        self.markers: Markers[W] = Markers(wire)
        self.assets: Assets[W] = Assets(wire)
        self.clips: Clips[W] = Clips(wire)
        self.signing_keys: SigningKeyGroup[W] = SigningKeyGroup(wire)
        self.secrets: SecretGroup[W] = SecretGroup(wire)
        self.replays: Replays[W] = Replays(wire)
        self.jobs: Jobs[W] = Jobs(wire)
        self.functions: Functions[W] = Functions(wire)
        self.keys: Keys[W] = Keys(wire)
        self.projects: Projects[W] = Projects(wire)
        self.organisations: Organisations[W] = Organisations(wire)
        self.nodes: Nodes[W] = Nodes(wire)
        self.audit: Audit[W] = Audit(wire)
        self.webhooks: Webhooks[W] = Webhooks(wire)
        self.overview: Overview[W] = Overview(wire)


class Client(_Groups[Blocking]):
    """The control API; a call returns when it has its result. Threads may share a client."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        project: str | None = None,
        timeout_s: float = 10,
        retries: Retries | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """`project` is for keys of a whole organisation; `timeout_s` is that of one attempt; `tls`
        is for servers whose certificate this machine does not know."""
        http = httpx2.Client(
            base_url=_checked(url),
            headers=_headers(key, project),
            verify=True if tls is None else tls,
            transport=transport,
        )
        self._wire = BlockingWire(http, retries or Retries(), timeout_s)
        super().__init__(self._wire)

    def stream(
        self,
        *,
        types: Sequence[str] | None = None,
        event: str | None = None,
        last_event_id: str | None = None,
    ) -> Generator[Message, None, None]:
        """Public events as they happen, without an end; goes on by itself where a connection was
        lost."""
        return self._wire.follow(Following(types, event, last_event_id))

    def close(self) -> None:
        self._wire.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_Groups[Awaited]):
    """The control API in an asyncio loop."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        project: str | None = None,
        timeout_s: float = 10,
        retries: Retries | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`project` is for keys of a whole organisation; `timeout_s` is that of one attempt; `tls`
        is for servers whose certificate this machine does not know."""
        http = httpx2.AsyncClient(
            base_url=_checked(url),
            headers=_headers(key, project),
            verify=True if tls is None else tls,
            transport=transport,
        )
        self._wire = AwaitedWire(http, retries or Retries(), timeout_s)
        super().__init__(self._wire)

    def stream(
        self,
        *,
        types: Sequence[str] | None = None,
        event: str | None = None,
        last_event_id: str | None = None,
    ) -> AsyncGenerator[Message, None]:
        """Public events as they happen, without an end; goes on by itself where a connection was
        lost."""
        return self._wire.follow(Following(types, event, last_event_id))

    async def close(self) -> None:
        await self._wire.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()


def _headers(key: str, project: str | None) -> dict[str, str]:
    if not (key and key.isascii() and key.isprintable()):
        raise BadValue("the API key is empty or has characters that no key has")
    said = {"Authorization": f"Bearer {key}", "User-Agent": _AGENT, "Accept": "application/json"}
    return said if project is None else {**said, "Livepath-Project": project}


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise BadValue(f"{url!r} is no address of an API: it begins with http:// or https://")
    return url
