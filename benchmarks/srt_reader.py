"""The floor of SRT's delay: a process that takes libsrt's messages, looks for stamps, nothing else.

    python -m benchmarks.srt_reader

Prints the URL to publish to, and when its stdin ends, one line of JSON: (Unix ns, stamp in µs) of
every frame. It is a process of its own so that nothing else's Python delays it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.stamped import DIGITS, MARK
from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.listener import SrtListener
from infra.auth.streamkeys import srt_passphrase, stream_key

SECRET, EVENT = b"the secret of a bare reader's only event", "ev_floor"
LATENCY_MS = 120
_STAMP = len(MARK) + DIGITS


class Reader:
    """A running reader process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self.url = process.stdout.readline().strip()

    def arrivals(self) -> list[tuple[int, int]]:
        """Ends the reader."""
        out, _ = self._process.communicate()
        return [(at, stamp) for at, stamp in json.loads(out)]


@contextmanager
def bare_reader() -> Iterator[Reader]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.srt_reader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Reader(process)
        finally:
            process.kill()


def _listen() -> tuple[SrtListener, str]:
    key = stream_key(SECRET, EVENT, "k1", 1)
    passphrase = srt_passphrase(SECRET, EVENT, "k1", 1)
    listener = SrtListener(
        "127.0.0.1", 0, LATENCY_MS, idle_timeout_ms=3000, connect_burst=9, connects_per_s=9
    )
    entry = AdmissionEntry(
        project="bench",
        event=EVENT,
        feed="main",
        key=key,
        generation=1,
        kid="k1",
        passphrase=passphrase,
        whip_token="unused",
        open=True,
        takeover=True,
    )
    listener.set_table([entry], 1)
    url = f"srt://127.0.0.1:{listener.port}?streamid={EVENT}/{key}&passphrase={passphrase}"
    return listener, f"{url}&latency={LATENCY_MS * 1000}&pkt_size=1316"


def read(listener: SrtListener, stop: threading.Event) -> list[tuple[int, int]]:
    arrivals: list[tuple[int, int]] = []
    publisher, held = None, b""
    while not stop.is_set():
        ready = listener.wait(25)
        if publisher is None and listener.socket in ready:
            publisher = listener.accept()
            if publisher is not None:
                listener.watch(publisher)
        while publisher is not None and (data := listener.drain(publisher)):
            held = _look(held + data, time.time_ns(), arrivals)
    return arrivals


def _look(data: bytes, now: int, arrivals: list[tuple[int, int]]) -> bytes:
    """Note the stamps; what may be the beginning of one is handed back."""
    while (at := data.find(MARK)) >= 0 and at + _STAMP <= len(data):
        arrivals.append((now, int(data[at + len(MARK) : at + _STAMP])))
        data = data[at + _STAMP :]
    return data[at:] if at >= 0 else data[-(_STAMP - 1) :]


def main() -> int:
    listener, url = _listen()
    print(url, flush=True)
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    print(json.dumps(read(listener, stop)))
    listener.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
