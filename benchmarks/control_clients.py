"""Keep-alive HTTP/1.1 clients that ask for the same again and again: how long each answer took.

    python -m benchmarks.control_clients URL -n 16 --seconds 10 [--body JSON] [--token KEY]

Closed loop: each of the clients sends its next request when it has the answer of the one before.
The client is a bare protocol on one event loop, so that it costs little beside the server. Prints
one JSON object; an answer that is no 2xx ends the run, for its time says nothing.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.accounting import usage

WARM_S = 1.0


class Refused(RuntimeError):
    """The server answered with something that is no success."""


class Client(asyncio.Protocol):
    """One connection; asks as soon as it was answered."""

    def __init__(self, request: bytes, until: float) -> None:
        self.took: list[tuple[float, float]] = []
        """(When it was asked, seconds until the answer was complete.)"""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._asked = 0.0
        self._got = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, mark, body = self._got.partition(b"\r\n\r\n")
        if not mark or len(body) < _length(head):
            return
        now = time.perf_counter()
        self.took.append((self._asked, now - self._asked))
        if not head.startswith(b"HTTP/1.1 2"):
            self._finish(Refused(f"{head.splitlines()[0].decode()}: {body[:200].decode()}"))
        elif now >= self._until:
            self._finish(None)
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error or Refused("the server closed the connection"))

    def _ask(self) -> None:
        assert self._transport is not None
        self._got = b""
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def _finish(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Refused("the answer has no length")


def request_of(url: str, body: str | None, token: str | None) -> bytes:
    parts = urlsplit(url)
    lines = [f"{'GET' if body is None else 'POST'} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body or ""]).encode()


async def ask(
    url: str, request: bytes, clients: int, seconds: float, pids: list[int]
) -> dict[str, float]:
    """What the clients saw and the processes took in the `seconds` after warming up."""
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    begin = time.perf_counter() + WARM_S
    crowd = [Client(request, begin + seconds) for _ in range(clients)]
    for one in crowd:
        await loop.create_connection(lambda one=one: one, parts.hostname, parts.port)  # type: ignore[misc]
    await asyncio.sleep(WARM_S)
    before = usage(pids)
    await asyncio.gather(*(one.done for one in crowd))
    cpu_s, lasted = usage(pids).since(before), time.perf_counter() - begin
    took = sorted(s for one in crowd for at, s in one.took if at >= begin)
    return {
        "clients": clients,
        "requests": len(took),
        "requests_per_s": round(len(took) / lasted, 1),
        "p50_ms": _at(took, 0.5),
        "p99_ms": _at(took, 0.99),
        "cpu_us": round(1e6 * cpu_s / max(1, len(took)), 1),
        "requests_per_s_per_core": round(len(took) / max(cpu_s, 1e-9), 1),
    }


def _at(took: list[float], share: float) -> float:
    return round(1e3 * took[min(len(took) - 1, int(len(took) * share))], 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("-n", "--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--body", help="POST this JSON; without it GET")
    parser.add_argument("--token", help="bearer token")
    parser.add_argument("--server-pid", type=int, action="append", default=[])
    given = parser.parse_args()
    request = request_of(given.url, given.body, given.token)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            found = runner.run(
                ask(given.url, request, given.clients, given.seconds, given.server_pid)
            )
        except (Refused, OSError) as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
