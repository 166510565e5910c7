"""The floor under the LL-HLS origin: the same server library, answering the same number of bytes.

An application that knows nothing: every `period` it lets all go who wait for the playlist,
with a text of the right size that lists one new part, and it answers every other path with a part's
number of bytes. No access check, no metrics, no renditions, no compression, no ingest.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvloop

from benchmarks.receive import DESCRIPTORS
from hotpath.__main__ import calm_collector
from hotpath.hls.exchange import Application, Request, Response
from hotpath.hls.server import HlsServer

PATH = "/live/video.m3u8"


class Bare(Application):
    """See the module."""

    def __init__(self, playlist_bytes: int, part_bytes: int) -> None:
        self._size = playlist_bytes
        self._part = answer(bytes(part_bytes))
        self._msn = 0
        self._waiting: list[Request] = []
        self._text = answer(b"")
        self.tick()

    def tick(self) -> None:
        self._msn += 1
        text = b'#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-PART:URI="%d.m4s"\n' % (
            self._msn, self._msn
        )  # fmt: skip
        self._text = answer(text + b"#" * (self._size - len(text)))
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            request.respond(self._text)

    def receive(self, request: Request) -> bool:
        if request.path != PATH:
            request.respond(self._part)
        elif request.query:
            self._waiting.append(request)
            request.left = lambda: self._waiting.remove(request)
        else:
            request.respond(self._text)
        return True


def answer(body: bytes) -> Response:
    return Response(200, ((b"content-length", b"%d" % len(body)),), body)


async def serve(app: Bare, period_s: float) -> None:
    server = HlsServer(app, "127.0.0.1", 0)
    server.start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.ready()
        print(server.port, flush=True)
        while True:
            await asyncio.sleep(period_s)
            app.tick()


@contextmanager
def floor_server(
    playlist_bytes: int, part_bytes: int, period_s: float, cores: Sequence[int] = ()
) -> Iterator[tuple[str, int]]:
    """(URL of the playlist, process)."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.hls_floor", str(playlist_bytes), str(part_bytes)),
            *(str(period_s), *(f"--core={core}" for core in cores)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the floor did not start")
        yield f"http://127.0.0.1:{port}{PATH}", process.pid
    finally:
        process.kill()
        process.communicate()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("playlist_bytes", type=int)
    parser.add_argument("part_bytes", type=int)
    parser.add_argument("period_s", type=float)
    parser.add_argument("--core", type=int, action="append", help="run on this core only")
    given = parser.parse_args()
    if given.core:
        os.sched_setaffinity(0, given.core)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Bare(given.playlist_bytes, given.part_bytes), given.period_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
