"""Which pictures are left out when the encoder cannot keep up.

Pure. Invariant: a picture that is shown has waited for no longer than the limit, except one every
`PAUSE_MS`: viewers of a hopelessly slow machine see a slide show, never one picture for good.

Upstream: `hotpath.encode.worker`, which knows how long a picture has waited.
"""

from dataclasses import dataclass

MS = 1_000_000
END_MS = 100
"""Pictures are left out until none has waited for longer."""
PAUSE_MS = 500


@dataclass(slots=True)
class Lateness:
    limit_ms: int
    catching_up: bool = False
    _shown_ns: int | None = None

    def leaves_out(self, waited_ns: int, now_ns: int) -> bool:
        """Whether to leave out the picture that is decoded now."""
        limit_ms = min(END_MS, self.limit_ms) if self.catching_up else self.limit_ms
        self.catching_up = waited_ns > limit_ms * MS
        paused = self._shown_ns is None or now_ns - self._shown_ns >= PAUSE_MS * MS
        if self.catching_up and not paused:
            return True
        self._shown_ns = now_ns
        return False
