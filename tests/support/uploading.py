"""An uploader on a thread, over a store in memory that can be made to fail."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hotpath.hls.spool import Spool
from hotpath.hls.uploader_schedule import Uploader
from infra.errors import StorageError
from infra.storage.memory import MemoryObjectStore
from tests.support.spool import Feed, open_session

WAIT_S = 20


class FaultyStore(MemoryObjectStore):
    """Records the order of successful puts; refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refused: set[str] = set()
        self.order: list[str] = []
        self.attempts: list[str] = []
        self.hold = threading.Event()
        self.hold.set()

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        self.attempts.append(key)
        assert self.hold.wait(WAIT_S)
        self.check()
        if key in self.refused:
            raise StorageError(f"PUT {key}: refused")
        etag = super().put(key, data, content_type, exclusive=exclusive)
        self.order.append(key)
        return etag

    def check(self) -> None:
        if self.down:
            raise StorageError("connection refused")


class Running:
    """An uploader on a thread."""

    def __init__(self, root: Path, store: FaultyStore, slots: int = 4) -> None:
        self.root, self.store = root, store
        (root / "live").mkdir(parents=True, exist_ok=True)
        self.uploader = Uploader(root, store, slots)
        self._thread = threading.Thread(target=self.uploader.run)
        self._thread.start()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, (self.store.order, files(self.root))
            time.sleep(0.01)

    def until_empty(self) -> None:
        self.until(lambda: not files(self.root))

    def stop(self) -> None:
        self.uploader.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


def files(root: Path) -> list[str]:
    # os.walk, because folders vanish while we look
    found = [Path(at, name) for at, _, names in os.walk(root / "live") for name in names]
    return sorted(str(path.relative_to(root)) for path in found)


def record(
    root: Path,
    msns: range,
    incarnation: str = "m1",
    *,
    final: bool = True,
    seal: bool = True,
    renditions: tuple[str, ...] = ("video",),
) -> None:
    spool = Spool(root, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool, incarnation)
    Feed(session, renditions).segments(msns)
    if seal:
        session.seal(final=final)
    assert spool.close()


def key(name: str, incarnation: str = "m1") -> str:
    return f"live/default/ev_a/main/{incarnation}/{name}"


Run = Callable[..., Running]
