"""The LL-HLS origin: an ASGI application over the programmes on this node.

    /live/{project}/{event}/{feed}/index.m3u8 | video.m3u8 | audio.m3u8
    /live/{project}/{event}/{feed}/{incarnation}/{rendition}/init-{n}.mp4 | s{msn}[.{part}].m4s
    /t/{token}/live/...      the same for events that need a token
    /metrics /healthz /readyz

Raw ASGI: a media request is a split, two look-ups and two messages. Upstream: the node opens and
closes programmes and sets the access table. Downstream: HTTP clients, by `server`.
Spec: draft-pantos-hls-rfc8216bis, 6.2.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cache, lru_cache
from typing import Any, TypeAlias

from prometheus_client import Counter, Gauge

from hotpath.hls.byte_range import requested
from hotpath.hls.live import LivePlaylists, monotonic_ms, unix_s
from hotpath.hls.reply import NO_STORE, Reply, refusal
from hotpath.hls.vault import Vault
from hotpath.hls.waiting import WaitingRoom
from infra.auth.access import Access, Denied
from infra.keys import ProgramKey
from infra.telemetry.ops import Check, ops_response

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

EDGE = "livepath.edge"
"""Scope key: an edge asks, which has had its viewer checked (`edge`)."""
OPS_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
LIVE_DEPTH = 6  # "", "live", project, event, feed, the rest

_CORS: list[Header] = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"content-length, content-range, accept-ranges, date, age, retry-after",
    ),
]
_PREFLIGHT: list[Header] = [
    *_CORS,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]

_REQUESTS = Counter(
    "livepath_hls_requests", "Requests answered by the LL-HLS origin.", ["kind", "status"]
)
# Looking a label up takes a lock, and 1.5 µs of the 8 or 9 that a media request costs.
_requests = cache(_REQUESTS.labels)
_WAITING = Gauge("livepath_hls_waiting", "Requests that wait for media to come.")


class HlsOrigin:
    """Serves what the packagers feed into `LivePlaylists`, and nothing else."""

    def __init__(
        self,
        *,
        checks: Mapping[str, Check] | None = None,
        max_waiting: int = 50_000,
        vault: Vault | None = None,
        clock_ms: Callable[[], int] = monotonic_ms,
        clock_s: Callable[[], int] = unix_s,
    ) -> None:
        """`vault`: has what left memory, for programmes whose viewers may go back."""
        self._checks = checks or {}
        self._vault = vault
        self._clock_ms = clock_ms
        self._clock_s = clock_s
        self._room = WaitingRoom(max_waiting)
        self.access = Access(clock_s)
        """Who may watch; other ways to watch ask it, too."""
        self._live: dict[str, LivePlaylists] = {}
        self._earlier: dict[str, LivePlaylists] = {}
        """The incarnation before the one that is live: its media stay available for a while."""
        self._removals: set[asyncio.TimerHandle] = set()
        _WAITING.set_function(lambda: self._room.count)

    @property
    def waiting(self) -> int:
        """Requests that are blocked now."""
        return self._room.count

    def open(
        self,
        key: ProgramKey,
        incarnation: str,
        *,
        access: str,
        part_target_ms: int,
        target_duration_s: int,
        audio_only: bool = False,
        dvr_window_s: int = 0,
    ) -> LivePlaylists:
        """A programme goes on the air; an earlier incarnation of it hands its URL over."""
        playlists = LivePlaylists(
            key,
            incarnation,
            access=access,
            part_target_ms=part_target_ms,
            target_duration_s=target_duration_s,
            room=self._room,
            audio_only=audio_only,
            dvr_window_s=dvr_window_s,
            vault=self._vault,
            clock=self._clock_ms,
            clock_s=self._clock_s,
        )
        if self._vault is not None and dvr_window_s:
            self._vault.prepare()
        name = str(key)
        current = self._live.get(name)
        if current is not None:
            current.release_all()
            self._earlier[name] = current
            self._remove_later(self._earlier, name, current)
        self._live[name] = playlists
        return playlists

    def close(self, key: ProgramKey) -> None:
        """The programme is off the air; what it has stays served until players are done."""
        current = self._live.get(str(key))
        if current is not None:
            current.release_all()
            self._remove_later(self._live, str(key), current)

    def set_access(
        self, projects: Mapping[str, Mapping[str, bytes]], events: Mapping[str, str]
    ) -> None:
        """`projects`: project -> kid -> secret; `events`: event -> `public` or `token`."""
        self.access.set(projects, events)

    def denied(self, project: str, event: str, feed: str, token: str | None) -> Denied | None:
        """Why the feed may not be watched, on the air or not; None if it may."""
        key = f"{project}/{event}/{feed}"
        playlists = self._live.get(key)
        default = playlists.access if playlists is not None else "token"
        return self.access.check(project, event, f"/live/{key}", token, default)

    def stop(self) -> None:
        """Send every waiting request home; what comes now waits no more."""
        for playlists in [*self._live.values(), *self._earlier.values()]:
            playlists.release_all()
        for timer in self._removals:
            timer.cancel()
        self._removals.clear()

    def _remove_later(
        self, table: dict[str, LivePlaylists], name: str, playlists: LivePlaylists
    ) -> None:
        def remove() -> None:
            self._removals.discard(timer)
            if table.get(name) is playlists:
                del table[name]

        timer = asyncio.get_running_loop().call_later(playlists.linger_s, remove)
        self._removals.add(timer)

    # ---- ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method: str = scope["method"]
        if method == "OPTIONS":
            await _send(send, 204, [*_PREFLIGHT, (b"content-length", b"0")], b"")
            return
        if method not in ("GET", "HEAD"):
            reply = refusal(405, "only GET, HEAD and OPTIONS")
            await self._answer(scope, send, "other", reply, [(b"allow", b"GET, HEAD, OPTIONS")])
            return
        path: str = scope["path"]
        if path in OPS_PATHS:
            await self._answer(scope, send, "ops", await self._operations(path))
            return
        reply = await self._respond(path, scope)
        await self._answer(scope, send, _kind(path), reply)

    async def _operations(self, path: str) -> Reply:
        found = await ops_response(path, self._checks)
        if found is None:
            return refusal(404, "unknown path")
        status, content_type, body = found
        return Reply(status, content_type, NO_STORE, body)

    async def _respond(self, path: str, scope: Scope) -> Reply:
        token = None
        if path.startswith("/t/"):
            token, _, rest = path[3:].partition("/")
            path = "/" + rest
        pieces = path.split("/", LIVE_DEPTH - 1)
        if len(pieces) != LIVE_DEPTH or pieces[1] != "live":
            return refusal(404, "unknown path")
        _, _, project, event, feed, name = pieces
        key = f"{project}/{event}/{feed}"
        playlists = self._live.get(key)
        if playlists is None:
            return refusal(404, "nothing is on the air here")
        denied = None
        if EDGE not in scope:
            denied = self.access.check(project, event, path, token, playlists.access)
        if denied is not None:
            return refusal(denied.status, denied.reason)
        if (reply := playlists.files.held(name)) is not None:
            return reply
        earlier = self._earlier.get(key)
        if earlier is not None and name.startswith(earlier.incarnation + "/"):
            return await earlier.files.find(name)
        return await playlists.respond(name, scope["query_string"].decode("latin-1"))

    async def _answer(
        self,
        scope: Scope,
        send: Send,
        kind: str,
        reply: Reply,
        extra: list[Header] | None = None,
    ) -> None:
        if reply.expires is not None:
            reply = _in_part(scope, reply)
        _requests(kind, reply.status).inc()
        headers = [
            (b"content-type", reply.content_type),
            (b"cache-control", reply.cache_control),
            *_CORS,
            *(extra or ()),
        ]
        if isinstance(reply.content, bytes):
            body = reply.content
        else:
            headers.append((b"vary", b"accept-encoding"))
            if _accepts_gzip(scope):
                body = reply.content.gzipped
                headers.append((b"content-encoding", b"gzip"))
            else:
                body = reply.content.plain
        if reply.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % reply.retry_after_s))
        if reply.expires is not None:
            headers += ((b"expires", reply.expires), (b"accept-ranges", b"bytes"))
        if reply.content_range is not None:
            headers.append((b"content-range", reply.content_range))
        headers.append((b"content-length", b"%d" % len(body)))
        await _send(send, reply.status, headers, b"" if scope["method"] == "HEAD" else body)


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _in_part(scope: Scope, reply: Reply) -> Reply:
    """RFC 9110 14.2: ranges are for GET; files have no validator, so If-Range never holds."""
    wanted = None
    for name, value in scope["headers"]:
        if name == b"range":
            wanted = requested(value, len(reply.body))
        elif name == b"if-range":
            return reply
    return reply if wanted is None or scope["method"] != "GET" else reply.part(wanted)


def _accepts_gzip(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding" and _names_gzip(value):
            return True
    return False


@lru_cache(maxsize=32)
def _names_gzip(accepted: bytes) -> bool:
    for choice in accepted.split(b","):
        coding, _, parameters = choice.strip().partition(b";")
        if coding.strip() in (b"gzip", b"*"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00")
    return False


def _kind(path: str) -> str:
    if path.endswith(".m3u8"):
        return "playlist"
    return "media" if path.endswith((".m4s", ".mp4")) else "other"
