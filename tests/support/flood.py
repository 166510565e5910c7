"""A flood of datagrams that mean nothing, of every kind that RFC 7983 knows, at a given rate.

with flooding(("127.0.0.1", port), victim.socket) as flood:
    ...
assert flood.sent > 10_000
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RATE = 10_000
"""Datagrams a second."""
_BURST = 100
_COOKIE = 0x2112A442


class Flood:
    """What was sent so far; `kinds` are sent in turn."""

    def __init__(self) -> None:
        self.sent = 0
        self.kinds = [
            # STUN: a request to nobody, a torn attribute, an answer nobody waits for.
            struct.pack("!HHI", 1, 8, _COOKIE) + bytes(12) + b"\0\6\0\4a:bc",
            struct.pack("!HHI", 1, 8, _COOKIE) + bytes(12) + b"\0\x24\xff\xff" + bytes(4),
            struct.pack("!HHI", 0x0101, 0, _COOKIE) + bytes(12),
            # DTLS: a handshake record, an alert and data of epoch 1.
            b"\x16\xfe\xfd" + bytes(8) + b"\0\xc8" + bytes(200),
            b"\x15\xfe\xfd\0\1" + bytes(5) + b"\7\0\x1a" + bytes(26),
            b"\x17\xfe\xfd\0\1" + bytes(5) + b"\7\0\x20" + bytes(32),
            # SRTP and SRTCP (a receiver report, a NACK) that nobody sealed.
            b"\x80\x60" + bytes(300),
            b"\x81\xc9\0\7" + bytes(60),
            b"\x81\xcd\0\x40" + bytes(1100),
            b"\xff" * 80,
            b"",
        ]


@contextmanager
def flooding(server: tuple[str, int], *also: socket.socket) -> Iterator[Flood]:
    """From a stranger's socket; `also`: sockets of known peers, which send a share of it, as
    somebody on their path who forges their address would."""
    flood, stop = Flood(), threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def run() -> None:
            sources, begun = (stranger, *also), time.monotonic()
            while not stop.is_set():
                for _ in range(_BURST):
                    kind = flood.kinds[flood.sent % len(flood.kinds)]
                    with suppress(BlockingIOError):
                        sources[flood.sent // _BURST % len(sources)].sendto(kind, server)
                    flood.sent += 1
                stop.wait(max(0.0, begun + flood.sent / RATE - time.monotonic()))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield flood
        finally:
            stop.set()
            thread.join()
