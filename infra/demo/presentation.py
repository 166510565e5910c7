"""When a player shows each frame: the playback clock, as a pure model.

Invariant: frames are shown in the order of their media time, `media time - start` after playback
began plus all stalls so far, and never before the frame was decoded and the audio beside it had
arrived. Upstream: `player` reports decoded frames and arrived audio with the time of each.
Downstream: the report. All times are integers in nanoseconds; the wall clock is Unix time.
"""

from collections import deque
from dataclasses import dataclass

from infra.demo.barcode import Stamp


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on the glass of the viewer."""

    stamp: Stamp | None
    """What its barcode says; None when it could not be read."""
    media_ns: int
    shown_ns: int

    @property
    def glass_to_glass_ms(self) -> float | None:
        """From the moment the frame was drawn until it is shown."""
        return None if self.stamp is None else self.shown_ns / 1e6 - self.stamp.unix_ms


@dataclass(frozen=True, slots=True)
class Stall:
    media_ns: int
    duration_ns: int


class Presentation:
    """The clock of one playback; it starts with the first frame at or after `start_ns`."""

    def __init__(self, start_ns: int, *, has_audio: bool) -> None:
        self._start_ns = start_ns
        self._has_audio = has_audio
        self._audio_until_ns = -1
        self._audio_at_ns = 0
        self._waiting: deque[tuple[int, int, Stamp | None]] = deque()
        self._held = False
        """The first waiting frame waits for audio; its arrival is then what made it ready."""
        self._offset_ns: int | None = None
        """Wall clock minus media time while playing."""
        self.shown: list[Shown] = []
        self.stalls: list[Stall] = []

    def receive_video(self, media_ns: int, stamp: Stamp | None, now_ns: int) -> None:
        """A frame was decoded."""
        if media_ns >= self._start_ns:
            self._waiting.append((media_ns, now_ns, stamp))
            self._show()

    def receive_audio(self, until_ns: int, now_ns: int) -> None:
        """Audio up to `until_ns` is here."""
        if until_ns > self._audio_until_ns:
            self._audio_until_ns, self._audio_at_ns = until_ns, now_ns
            self._show()

    def finish(self) -> None:
        """Nothing more will come: what still waits for audio is shown without it."""
        self._has_audio = False
        self._show()

    def _show(self) -> None:
        while self._waiting:
            media_ns, ready_ns, stamp = self._waiting[0]
            if self._has_audio and self._audio_until_ns <= media_ns:
                self._held = True
                return
            self._waiting.popleft()
            if self._held:
                ready_ns = max(ready_ns, self._audio_at_ns)
            self._present(media_ns, ready_ns, stamp)
        self._held = False

    def _present(self, media_ns: int, ready_ns: int, stamp: Stamp | None) -> None:
        if self._offset_ns is None:
            self._offset_ns = ready_ns - media_ns
        late_ns = ready_ns - (media_ns + self._offset_ns)
        if late_ns > 0:
            self.stalls.append(Stall(media_ns, late_ns))
            self._offset_ns += late_ns
        self.shown.append(Shown(stamp, media_ns, media_ns + self._offset_ns))
