"""A media process reduced to its spool: `python -m tests.support.spool_child ROOT INCARNATION`.

Prints `rendition msn part` for every part that the spool has taken, until it is killed.
"""

import sys
from pathlib import Path

from hotpath.hls.spool import Spool
from tests.support.spool import FORMATS, PARTS, Feed, open_session


def main(root: Path, incarnation: str) -> None:
    spool = Spool(root, 1 << 30, lambda *_: None, lambda *_: None)
    feed = Feed(open_session(spool, incarnation), ("video", "audio"), size=20_000)
    for msn in range(10_000):
        for part in range(PARTS):
            for rendition in feed.renditions:
                feed.part(rendition, msn, part)
                if spool.flush(10):
                    sys.stdout.write(f"{rendition} {msn} {part}\n")
                    sys.stdout.flush()
        for rendition in feed.renditions:
            feed.session.segment(rendition, msn, duration=FORMATS[rendition].timescale)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
