"""A media process whose disk never syncs again: `python -m tests.support.spool_stuck_child ROOT`.

Prints `rendition msn part` for every part that is in its file, and at last `syncing`, once a sync
is under way that will not end. It waits to be killed.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from hotpath.hls.spool import Spool
from hotpath.hls.spool_segment import read_parts
from tests.support.spool import FORMATS, PARTS, WAIT_S, Feed, folder, open_session

SEGMENTS = 3


def main(root: Path) -> None:
    spool = Spool(root, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool)
    syncing = threading.Event()

    def hang(_: int) -> None:
        syncing.set()
        threading.Event().wait()

    os.fsync = os.fdatasync = hang  # type: ignore[assignment]
    feed = Feed(session, ("video", "audio"), size=20_000)
    for msn in range(SEGMENTS):
        for part in range(PARTS):
            for rendition in feed.renditions:
                feed.part(rendition, msn, part)
                _await_part(root, rendition, msn, part)
                _tell(f"{rendition} {msn} {part}")
        for rendition in feed.renditions:
            session.segment(rendition, msn, duration=FORMATS[rendition].timescale)
    if syncing.wait(WAIT_S):
        _tell("syncing")
        signal.pause()


def _await_part(root: Path, rendition: str, msn: int, part: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while len(read_parts(folder(root).path / rendition, msn)) <= part:
        if time.monotonic() > deadline:
            sys.exit(f"{rendition} {msn} {part} still waits behind a sync")
        time.sleep(0.002)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
