"""The LL-HLS origin: an application over the programmes on this node.

    /live/{project}/{event}/{feed}/index.m3u8 | video.m3u8 | audio.m3u8
    /live/{project}/{event}/{feed}/index-captions.m3u8 | captions.m3u8     with live captions
    /live/{project}/{event}/{feed}/{incarnation}/{rendition}/init-{n}.mp4 | s{msn}[.{part}].m4s
    /t/{token}/live/...      the same for events that need a token
    /metrics /healthz /readyz

A media request is a split and two look-ups; all who get the same bytes get the same response.
Upstream: the node opens and closes programmes and sets the access table; viewers ask by `server`.
Downstream: `asking`, `live`.
Spec: draft-pantos-hls-rfc8216bis, 6.2.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from prometheus_client import Gauge

from hotpath.hls.asking import Asking, Readings, send
from hotpath.hls.exchange import Application, Request, Response
from hotpath.hls.lingering import Lingering
from hotpath.hls.live import LivePlaylists, monotonic_ms, unix_s
from hotpath.hls.reply import CORS, NO_STORE, Reply, refusal
from hotpath.hls.vault import Vault
from hotpath.hls.waiting import WaitingRoom
from infra.auth.access import Access, Admitted, Denied
from infra.auth.jws import VerifyingKey
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChanges
from infra.events.captions import HeardWindow
from infra.keys import ProgramKey
from infra.proxies import Proxies
from infra.telemetry.ops import Check, ops_answer

OPS_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
EARLIER = 4
"""Incarnations of one feed that are kept beside the one on the air, at most."""
LIVE_DEPTH = 6  # "", "live", project, event, feed, the rest

_PREFLIGHT = Response(
    204,
    (
        *CORS,
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
        (b"access-control-allow-headers", b"*"),
        (b"access-control-max-age", b"86400"),
    ),
    b"",
)
_NOT_ALLOWED = replace(refusal(405, "only GET, HEAD and OPTIONS"), allow=b"GET, HEAD, OPTIONS")
_UNKNOWN = refusal(404, "unknown path")
_OTHER_PATH = Denied(403, "the tier of this viewer watches by WebRTC alone")
_OFF_AIR = refusal(404, "nothing is on the air here")

_WAITING = Gauge("livepath_hls_waiting", "Requests that wait for media to come.")


class HlsOrigin(Application):
    """Serves what the packagers feed into `LivePlaylists`, and nothing else."""

    def __init__(
        self,
        *,
        checks: Mapping[str, Check] | None = None,
        max_waiting: int = 50_000,
        vault: Vault | None = None,
        captions: bool = False,
        proxies: Proxies | None = None,
        clock_ms: Callable[[], int] = monotonic_ms,
        clock_s: Callable[[], int] = unix_s,
    ) -> None:
        """`vault`: has what left memory, for programmes whose viewers may go back. `captions`:
        somebody may listen to programmes, and tell `hear` what was said. `proxies`: those that are
        believed whose requests they bring."""
        self._checks = checks or {}
        self._vault = vault
        self._captions = captions
        self._proxies = proxies or Proxies()
        self._clock_ms = clock_ms
        self._clock_s = clock_s
        self._room = WaitingRoom(max_waiting)
        self._readings = Readings()
        self.access = Access(clock_s)
        """Who may watch; other ways to watch ask it, too."""
        self._live: dict[str, LivePlaylists] = {}
        self._earlier: dict[str, dict[str, LivePlaylists]] = {}
        """Incarnations before the one that is live, by name: media of theirs stay available for a
        while."""
        self._lingering = Lingering(clock_ms)
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
            captions=self._captions,
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
            self._keep_earlier(name, current)
        self._live[name] = playlists
        return playlists

    def hear(self, window: HeardWindow) -> None:
        """What was said in a while of an incarnation, which may be gone by now."""
        name = f"{window.project}/{window.event}/{window.feed}"
        playlists = self._live.get(name)
        if playlists is None or playlists.incarnation != window.incarnation:
            playlists = self._earlier.get(name, {}).get(window.incarnation)
        if playlists is not None:
            playlists.hear(window)

    def close(self, key: ProgramKey) -> None:
        """The programme is off the air; what it has stays served until players are done."""
        current = self._live.get(str(key))
        if current is not None:
            current.release_all()
            self._lingering.let_go(current, partial(self._remove, str(key), current))

    def set_access(
        self,
        projects: Mapping[str, Mapping[str, VerifyingKey]],
        events: Mapping[str, str],
        revoked: Mapping[str, Revoked] | None = None,
        changes: Mapping[str, TierChanges] | None = None,
    ) -> None:
        """As `Access.set`."""
        self.access.set(projects, events, revoked, changes)

    def admit(
        self, project: str, event: str, feed: str, token: str | None, address: str
    ) -> Admitted | Denied:
        """Whether somebody at `address` may watch the feed, on the air or not."""
        key = f"{project}/{event}/{feed}"
        playlists = self._live.get(key)
        default = playlists.access if playlists is not None else "token"
        return self._admit(project, event, f"/live/{key}", token, default, address=address)

    def beyond(self, project: str, event: str, feed: str, cap: str) -> frozenset[str]:
        """The feed's renditions that a viewer with this cap may not have."""
        playlists = self._live.get(f"{project}/{event}/{feed}")
        return frozenset() if playlists is None else playlists.beyond(cap)

    def _admit(
        self, project: str, event: str, path: str, token: str | None, default: str, *, address: str
    ) -> Admitted | Denied:
        found = self.access.admit(project, event, path, token, default, address=address)
        return found if isinstance(found, Denied) or found.rights.path.hls else _OTHER_PATH

    def stop(self) -> None:
        """Send every waiting request home; what comes now waits no more."""
        earlier = (each for table in self._earlier.values() for each in table.values())
        for playlists in [*self._live.values(), *earlier]:
            playlists.release_all()
        self._readings.stop()
        self._lingering.stop()

    def _keep_earlier(self, name: str, playlists: LivePlaylists) -> None:
        """Another incarnation has its URL; what was promised can be had."""
        earlier = self._earlier.setdefault(name, {})
        earlier[playlists.incarnation] = playlists
        self._lingering.let_go(playlists, partial(self._remove, name, playlists))
        if len(earlier) > EARLIER:
            oldest = next(iter(earlier.values()))
            self._lingering.forget(oldest)
            self._remove(name, oldest)

    def _remove(self, name: str, playlists: LivePlaylists) -> None:
        if self._live.get(name) is playlists:
            del self._live[name]
        earlier = self._earlier.get(name, {})
        if earlier.get(playlists.incarnation) is playlists:
            del earlier[playlists.incarnation]
        if not earlier:
            self._earlier.pop(name, None)

    # ---- asked by viewers

    def receive(self, request: Request) -> bool:
        path, method = request.path, request.method
        if method not in ("GET", "HEAD"):
            if method == "OPTIONS":
                request.respond(_PREFLIGHT)
            else:
                send(request, "other", _NOT_ALLOWED)
        elif path in OPS_PATHS:
            send(request, "ops", self._operations(path))
        else:
            self._find(request, _kind(path))
        return True

    def _operations(self, path: str) -> Reply:
        found = ops_answer(path, self._checks)
        if found is None:
            return _UNKNOWN
        status, content_type, body = found
        return Reply(status, content_type, NO_STORE, body)

    def _find(self, request: Request, kind: str) -> None:
        """Find the file, or who has the answer."""
        token, path = None, request.path
        if path.startswith("/t/"):
            token, _, rest = path[3:].partition("/")
            path = "/" + rest
        pieces = path.split("/", LIVE_DEPTH - 1)
        if len(pieces) != LIVE_DEPTH or pieces[1] != "live":
            send(request, kind, _UNKNOWN)
            return
        _, _, project, event, feed, name = pieces
        key = f"{project}/{event}/{feed}"
        playlists = self._live.get(key)
        if playlists is None:
            send(request, kind, _OFF_AIR)
            return
        if not request.edge:
            address = self._address(request)
            found = self._admit(project, event, path, token, playlists.access, address=address)
            if isinstance(found, Denied):
                send(request, kind, refusal(found.status, found.reason))
                return
            if (cap := found.rights.cap) is not None:
                under = playlists.under_cap(name, cap)
                if under is None:
                    send(request, kind, refusal(403, f"nothing above {cap} is due to this viewer"))
                    return
                name = under
        if kind == "media" and (reply := playlists.files.held(name)) is not None:
            send(request, kind, reply)
        else:
            if (earlier := self._earlier.get(key)) is not None:
                playlists = earlier.get(name.partition("/")[0], playlists)
            Asking(request, kind, playlists, name, self._readings).ask()

    def _address(self, request: Request) -> str:
        if not self._proxies:
            return request.client
        forwarded = request.headers.get(b"x-forwarded-for", b"")
        return self._proxies.client(request.client, forwarded.decode("latin-1"))


def _kind(path: str) -> str:
    if path.endswith(".m3u8"):
        return "playlist"
    return "media" if path.endswith((".m4s", ".mp4", ".vtt")) else "other"
