"""When a player shows each frame: the playback clock, as a pure model.

Invariant: frames are shown in the order of their media time, and never before the frame was decoded
and the audio beside it had arrived. Playback begins where it was meant to be by the time that it
can; all stalls since make it later, and as players do it goes a little faster then while enough is
buffered. Upstream: `player` reports decoded frames and arrived audio with the time of each.
Downstream: the report. All times are integers in nanoseconds; the wall clock is Unix time.
"""

from collections import deque
from dataclasses import dataclass

from infra.demo.barcode import Stamp

FASTER = 8
"""Per cent by which playback is sped up to catch up; the player pages say the same to hls.js."""
SEEK_NS = 1_000_000_000
"""A start that is later than that begins where it is."""
WINDOW_NS = 1_000_000_000
COMFORT_NS = 100_000_000
"""Nothing is caught up unless each frame of the last `WINDOW_NS` was ready by so much too early."""


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
    """The clock of one playback; it starts with the first frame at or after `start_ns`, which was
    meant to be shown at `meant_ns`. When that is ready it is late, for it had to be fetched; so
    what should have been shown by then is passed over."""

    def __init__(self, start_ns: int, *, has_audio: bool, meant_ns: int | None = None) -> None:
        self._start_ns = start_ns
        self._meant_offset_ns = None if meant_ns is None else meant_ns - start_ns
        self._has_audio = has_audio
        self._audio_until_ns = -1
        self._audio_at_ns = 0
        self._waiting: deque[tuple[int, int, Stamp | None]] = deque()
        self._held = False
        """The first waiting frame waits for audio; its arrival is then what made it ready."""
        self._offset_ns: int | None = None
        """Wall clock minus media time while playing."""
        self._first_ready_ns: int | None = None
        self._early: deque[tuple[int, int]] = deque()
        """(media time, media time minus the wall clock at which it was ready) of `WINDOW_NS`."""
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
            if self._is_passed_over(media_ns, ready_ns):
                return
            self._offset_ns = ready_ns - media_ns
        self._catch_up(media_ns, ready_ns)
        late_ns = ready_ns - (media_ns + self._offset_ns)
        if late_ns > 0:
            self.stalls.append(Stall(media_ns, late_ns))
            self._offset_ns += late_ns
        self.shown.append(Shown(stamp, media_ns, media_ns + self._offset_ns))

    def _is_passed_over(self, media_ns: int, ready_ns: int) -> bool:
        if self._meant_offset_ns is None:
            return False
        if self._first_ready_ns is None:
            self._first_ready_ns = ready_ns
        late = ready_ns - media_ns > self._meant_offset_ns
        return late and ready_ns < self._first_ready_ns + SEEK_NS

    def _catch_up(self, media_ns: int, ready_ns: int) -> None:
        offset_ns, meant_ns = self._offset_ns, self._meant_offset_ns
        if offset_ns is None or meant_ns is None:
            return
        passed_ns = media_ns - self._early[-1][0] if self._early else 0
        self._early.append((media_ns, media_ns - ready_ns))
        while self._early[0][0] < media_ns - WINDOW_NS:
            self._early.popleft()
        comfortable_ns = COMFORT_NS - min(early for _, early in self._early)
        wanted_ns = max(meant_ns, comfortable_ns, offset_ns - passed_ns * FASTER // 100)
        self._offset_ns = min(offset_ns, wanted_ns)
