"""Requests of viewers on their way to a reply: sent at once, after a wait, or after a read.

Invariant: every request gets one reply, unless its client goes first; one that waits costs an
object in the waiting room, one that reads older media a task. Upstream: `origin`, which has
checked access. Downstream: `live` and `files` have the replies.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import structlog
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import REGISTRY, Collector

from hotpath.hls.answers import Blocked
from hotpath.hls.exchange import Request
from hotpath.hls.files import NOT_HERE, Files
from hotpath.hls.live import LivePlaylists
from hotpath.hls.reply import Reply, refusal
from hotpath.hls.text import Text
from hotpath.hls.waiting import Outcome, Waiter
from infra.byte_range import requested

log = structlog.get_logger(__name__)

_REQUESTS: Counter[tuple[str, int]] = Counter()
"""By kind and status. The library's own counter takes two locks for every request."""
_FAILED = refusal(500, "internal server error")
_STOPPED = refusal(503, "the server stops", retry_after_s=1)
_GONE = refusal(404, NOT_HERE)


class _Requests(Collector):
    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "livepath_hls_requests",
            "Requests answered by the LL-HLS origin.",
            labels=["kind", "status"],
        )
        for (kind, status), count in sorted(_REQUESTS.items()):
            requests.add_metric([kind, str(status)], count)
        yield requests


REGISTRY.register(_Requests())


class Readings:
    """Reads of older media under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Reply]] = set()

    def begin(self, request: Request, kind: str, files: Files, name: str) -> None:
        """Answer with a file that is not in memory, or say why it cannot be had."""
        if files.all_held:
            send(request, kind, _GONE)
            return
        task = asyncio.get_running_loop().create_task(files.find(name))
        self._tasks.add(task)
        request.left = task.cancel

        def done(task: "asyncio.Task[Reply]") -> None:
            self._tasks.discard(task)
            if task.cancelled():
                send(request, kind, _STOPPED)
            elif (error := task.exception()) is not None:
                log.error("older media failed", exc_info=error)
                send(request, kind, _FAILED)
            else:
                send(request, kind, task.result())

        task.add_done_callback(done)

    def stop(self) -> None:
        """Send everybody home."""
        for task in self._tasks:
            task.cancel()


class Asking(Waiter):
    """A request for what may have to be waited for."""

    __slots__ = ("_kind", "_name", "_playlists", "_readings", "_request")

    def __init__(
        self,
        request: Request,
        kind: str,
        playlists: LivePlaylists,
        name: str,
        readings: Readings,
    ) -> None:
        super().__init__()
        self._request = request
        self._kind = kind
        self._playlists = playlists
        self._name = name
        self._readings = readings

    def ask(self, waited: Outcome | None = None) -> None:
        request, playlists = self._request, self._playlists
        answer = playlists.answer(self._name, request.query, waited)
        if isinstance(answer, Reply):
            send(request, self._kind, answer)
        elif isinstance(answer, Blocked):
            request.left = self.leave
            if not answer.gate.wait(answer.key, answer.timeout_s, self):
                self.ask(Outcome.FULL)
        else:
            self._readings.begin(request, self._kind, playlists.files, self._name)

    def resume(self, outcome: Outcome) -> None:
        self.ask(outcome)


def send(request: Request, kind: str, reply: Reply) -> None:
    """The reply as the request's client wants it."""
    headers = request.headers
    if reply.expires is not None and request.method == "GET" and b"range" in headers:
        reply = _in_part(headers, reply)
    _REQUESTS[kind, reply.status] += 1
    gzip = isinstance(reply.content, Text) and _names_gzip(headers.get(b"accept-encoding", b""))
    response = reply.response(gzip)
    if request.method == "HEAD":
        response = replace(response, body=b"")
    request.respond(response)


def _in_part(headers: Mapping[bytes, bytes], reply: Reply) -> Reply:
    """RFC 9110 14.2: ranges are for GET; files have no validator, so If-Range never holds."""
    if b"if-range" in headers:
        return reply
    wanted = requested(headers[b"range"], len(reply.body))
    return reply if wanted is None else reply.part(wanted)


@lru_cache(maxsize=32)
def _names_gzip(accepted: bytes) -> bool:
    for choice in accepted.split(b","):
        coding, _, parameters = choice.strip().partition(b";")
        if coding.strip() in (b"gzip", b"*"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00")
    return False
