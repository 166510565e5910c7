"""A WHEP viewer that says its path is too narrow, until it is shown a lower rendition.

Invariant: it takes what comes, sends nothing but receiver reports, and is done with the first
picture of another size. Blocking; runs in a thread. Upstream: `whep_client`. Downstream: `ladder`.
"""

import time
from collections.abc import Callable

from infra.demo.frames import FrameAssembler
from infra.demo.ladder import Moved
from infra.demo.whep_client import WhepClient
from infra.demo.whep_viewing import Decoder, assembled

LOST = 0.2
"""Of the packets, it says: more than retransmission is there for."""
REPORT_S = 0.5
PATIENCE_S = 20.0


def moved_down(url: str, cancelled: Callable[[], bool]) -> Moved | None:
    """From which size to which, and how soon; None: nothing changed while there was time."""
    assembler, decoder = FrameAssembler(), Decoder()
    first, began, reported = "", 0.0, float("-inf")
    ends = time.monotonic() + PATIENCE_S
    with WhepClient(url) as client:
        for packet, received_ns in client.packets(lambda: cancelled() or time.monotonic() > ends):
            if packet.payload_type != client.video_type:
                continue
            now = time.monotonic()
            if first and now - reported >= REPORT_S:
                reported, began = now, began or now
                client.report_loss(packet, LOST)
            frame = assembled(assembler, packet, received_ns)
            for picture in decoder.pictures(frame) if frame else ():
                size = f"{picture.width}x{picture.height}"
                if first and size != first:
                    return Moved(first, size, time.monotonic() - began)
                first = size
    return None
