"""Whether a programme's recording is complete right now, told to the node once per change.

Invariant: `on_degraded` and `on_restored` alternate, starting with `on_degraded`. A rendition is
well again when a segment later than everything it lost was recorded; the programme, when all are.
Called from the event loop (a full queue), from the append thread and from the settler.
"""

import threading
from collections.abc import Callable

from hotpath.hls.recorder import HoleReason
from infra.keys import ProgramKey

OnDegraded = Callable[[ProgramKey, HoleReason], None]
OnRestored = Callable[[ProgramKey], None]


class RecordingHealth:
    def __init__(self, key: ProgramKey, on_degraded: OnDegraded, on_restored: OnRestored) -> None:
        self._key = key
        self._on_degraded = on_degraded
        self._on_restored = on_restored
        self._lost: dict[str, int] = {}
        """Per suffering rendition the highest msn it lost."""
        self._lock = threading.Lock()

    def lost(self, rendition: str, msn: int, reason: HoleReason) -> None:
        with self._lock:
            first = not self._lost
            self._lost[rendition] = max(msn, self._lost.get(rendition, msn))
            if first:
                self._on_degraded(self._key, reason)

    def recorded(self, rendition: str, msn: int) -> None:
        with self._lock:
            if self._lost.get(rendition, msn) < msn:
                del self._lost[rendition]
                if not self._lost:
                    self._on_restored(self._key)
