"""A recording that meets a full disk, and an uploader that frees it again.

`play` runs it on any folder that can be filled up. `python -m tests.support.full_disk ROOT` fills
by RLIMIT_FSIZE, where nobody may mount a small file system: no file can grow any more, the
acknowledgements included, until the limit is lifted.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hotpath.hls.spool import Spool
from hotpath.hls.uploader_schedule import Uploader
from infra.storage.memory import MemoryObjectStore
from tests.support.spool import Feed, open_session, segment_bytes

SIZE = 50_000
WAIT_S = 40


@dataclass
class Played:
    """What happened, in numbers that survive JSON."""

    told: list[str] = field(default_factory=list)
    given: int = 0
    """Segments 0..given-1 were played."""
    recorded: list[int] = field(default_factory=list)
    holes: list[list[int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    """Listed segments whose object is not what was played."""
    stored: int = 0
    final: bool = False


def play(root: Path, fill: Callable[[], None], free: Callable[[], None]) -> Played:
    """Two segments, a full disk, then an uploader, then segments until recording is restored."""
    played = Played()
    spool = Spool(
        root,
        1 << 30,
        lambda _, reason: played.told.append(reason),
        lambda _: played.told.append("restored"),
        reserve_bytes=500_000,
    )
    session = open_session(spool)
    feed = Feed(session, size=SIZE)

    def give() -> None:
        feed.segment(played.given)
        played.given += 1
        assert spool.flush(WAIT_S)

    for _ in range(2):
        give()
    fill()
    _until(lambda: bool(played.told), give)
    for _ in range(3):
        give()
    store = MemoryObjectStore()
    uploader = Uploader(root, store)
    thread = threading.Thread(target=uploader.run)
    thread.start()
    try:
        _until(lambda: len(list(store.list("live/"))) >= 3, lambda: time.sleep(0.05))
        free()
        _until(lambda: "restored" in played.told, lambda: (give(), time.sleep(0.2)))  # type: ignore[func-returns-value]
        session.seal(final=True)
        _until(lambda: not list((root / "live").iterdir()), lambda: time.sleep(0.05))
    finally:
        uploader.stop()
        thread.join(WAIT_S)
    assert spool.close()
    _compare(store, played)
    return played


def _until(condition: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        meanwhile()


def _compare(store: MemoryObjectStore, played: Played) -> None:
    prefix = "live/default/ev_a/main/m1"
    manifest = json.loads(store.get(f"{prefix}/manifest.json"))
    (video,) = manifest["renditions"]
    played.recorded = [entry["msn"] for entry in video["segments"]]
    played.holes = [[hole["first_msn"], hole["last_msn"]] for hole in video["holes"]]
    played.reasons = sorted({hole["reason"] for hole in video["holes"]})
    played.stored = len(list(store.list(f"{prefix}/video/s")))
    played.final = manifest["final"]
    played.damaged = [
        msn
        for msn in played.recorded
        if store.get(f"{prefix}/video/s{msn}.m4s") != segment_bytes("video", msn, size=SIZE)
    ]


def _limit_files(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


if __name__ == "__main__":
    result = play(
        Path(sys.argv[1]),
        fill=lambda: _limit_files(10_000),
        free=lambda: _limit_files(resource.RLIM_INFINITY),
    )
    sys.stdout.write("\n" + json.dumps(asdict(result)) + "\n")
