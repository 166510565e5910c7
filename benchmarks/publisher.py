"""Sends a stamped programme over SRT in real time, with libsrt's own tool or with ffmpeg.

    python -m benchmarks.publisher srt://127.0.0.1:PORT?streamid=...&passphrase=...  [--seconds N]

Upstream: `endless`, of which each burst is made when it is due. Downstream: an ingest.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import imageio_ffmpeg

from benchmarks.endless import PACKET, Stream
from benchmarks.stamped import Recipe, programme

MESSAGE = 7 * PACKET


class _LiveTransmit:
    """libsrt's own tool, fed by datagrams: the least that can stand between bytes and libsrt."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._socket.connect(("127.0.0.1", port))
        self.process = subprocess.Popen(
            [
                *("srt-live-transmit", "-q", "-loglevel:fatal", "-chunk:1316"),
                *(f"udp://127.0.0.1:{port}?rcvbuf=4000000", live_transmit_url(url)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _until_bound(port, self.process)

    def send(self, message: bytes) -> None:
        with suppress(ConnectionRefusedError):  # of an earlier datagram, when the tool has ended
            self._socket.send(message)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._socket.close()


class _Ffmpeg:
    """Where there are no srt-tools."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-fflags", "nobuffer"),
                *("-probesize", "32", "-f", "data", "-raw_packet_size", str(MESSAGE)),
                *("-i", "pipe:0", "-map", "0:0", "-c", "copy", "-flush_packets", "1"),
                *("-f", "data", url),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def send(self, message: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(message)
            self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


class Publisher:
    """Sends a programme over SRT on a thread of its own while the block lasts.

    URLs are as the API gives them to encoders, with libsrt's latency in µs as ffmpeg reads it; all
    get the same bytes at the same time.
    """

    def __init__(self, *urls: str, path: Path | None = None) -> None:
        self._urls = urls
        self._stream = Stream((path or programme()).read_bytes())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._sinks: list[_LiveTransmit | _Ffmpeg] = []

    def __enter__(self) -> Self:
        make = _LiveTransmit if shutil.which("srt-live-transmit") else _Ffmpeg
        for url in self._urls:
            self._sinks.append(make(url))
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        for sink in self._sinks:
            sink.close()

    @property
    def alive(self) -> bool:
        return all(sink.process.poll() is None for sink in self._sinks)

    def _run(self) -> None:
        started = time.monotonic()
        for due, made in self._stream:
            if self._stop.wait(max(0.0, started + due - time.monotonic())):
                return
            data = made()
            for at in range(0, len(data), MESSAGE):
                for sink in self._sinks:
                    sink.send(data[at : at + MESSAGE])


def live_transmit_url(url: str) -> str:
    """The same URL for libsrt's own tool, whose latency is in ms and who has no `pkt_size`."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.pop("pkt_size", None)
    if "latency" in query:
        query["latency"] = str(int(query["latency"]) // 1000)
    return parts._replace(query=urlencode(query, safe="/,=:#!")).geturl()


def _until_bound(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Datagrams sent before the tool has opened its port would be lost."""
    wanted = f":{port:04X} "
    deadline = time.monotonic() + 10
    while not any(wanted in line for line in Path("/proc/net/udp").read_text().splitlines()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"srt-live-transmit did not start: status {process.poll()}")
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="srt://HOST:PORT?streamid=...&passphrase=...&latency=µs")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this long; 0: never")
    parser.add_argument("--audio", choices=("aac", "libopus"), default="aac")
    given = parser.parse_args()
    with Publisher(given.url, path=programme(Recipe(audio=given.audio))) as publisher:
        ends = time.monotonic() + (given.seconds or 1e9)
        while publisher.alive and time.monotonic() < ends:
            time.sleep(0.2)
        return 0 if publisher.alive else 1


if __name__ == "__main__":
    sys.exit(main())
