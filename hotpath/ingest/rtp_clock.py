"""A publisher's RTP clocks put on one: every track's timestamps become 90 kHz of a common clock.

Invariant: a track's result moves with its timestamps, but for corrections of at most a twentieth of
the time between two of them; it never jumps because one report came. Pure.

A track's clock has a random offset. The first packet places it by its arrival; once both tracks
have sent sender reports (which name the same moment in RTP and wall clock time), the video is led
to where the reports say it belongs beside the audio, and follows them as the two clocks drift. The
audio stays as it is, because it is counted in samples. A track whose timestamps jump against their
arrival is placed by its arrival again; audio that did not count while it was paused, too shortly
for that to be told from a delay, moves once its reports have said so twice.

Some senders date their reports when they send them, so that a busy one dates them too late: of the
latest few the earliest counts.

Upstream: `hotpath.ingest.whip_track`. Downstream: `depacketize`. Spec: RFC 3550 5.1 and 6.4.1.
"""

from collections import deque

from hotpath.media.clock import CLOCK, rescale
from hotpath.webrtc.rtcp import SenderReport
from hotpath.webrtc.rtp import NS, Unwrapper, unix_ns_of

JUMP = 2 * CLOCK
"""Timestamps and arrivals that part by more between two frames are not one clock."""
IMPLAUSIBLE = 3 * CLOCK
"""Reports that put sound and picture further apart than they arrive are not believed."""
STEP = CLOCK // 2
"""A report that parts from those before by more is believed when the next one agrees."""
_REPORTS = 4
_SLOPE = 20
_START, _STOP = CLOCK // 100, CLOCK // 1000
"""An error of 10 ms starts a correction, one of 1 ms ends it."""


class TrackClock:
    """One track; a new SSRC calls `restart`."""

    def __init__(self, clock_hz: int, leader: "TrackClock | None" = None) -> None:
        """`leader`: the audio's clock, for the video's."""
        self.corrected = 0
        """90 kHz ticks by which reports have moved the track, in all."""
        self._clock_hz = clock_hz
        self._leader = leader
        self._ahead = 0
        """90 kHz: how far the common clock is ahead of a first packet's arrival."""
        self._base: int | None = None
        self._last: tuple[int, int] = (0, 0)
        self.restart()

    def restart(self) -> None:
        """Another source: it is as far from its arrival as the one before was."""
        if self._base is not None:
            own, arrival = self._last
            self._ahead = own + self._base - arrival
        self._unwrapper = Unwrapper(32)
        self._base = None
        """Common clock less the track's own, in 90 kHz."""
        self._reports: deque[int] = deque(maxlen=_REPORTS)
        """The latest reports' wall clock less the track's own, in 90 kHz."""
        self._doubtful: int | None = None
        """As much of the newest report, if it parted from those before."""
        self._report: SenderReport | None = None
        self._last = 0, 0
        """(ticks of the track's own clock in 90 kHz, arrival in 90 kHz) of the newest packet."""
        self._correcting = False

    def ticks(self, timestamp: int, now: int) -> int:
        """The common clock at this timestamp, which arrived `now` (monotonic ns)."""
        own = rescale(self._unwrapper.unwrap(timestamp), CLOCK, self._clock_hz)
        arrival = now * CLOCK // NS
        before, arrived = self._last
        if self._base is None:
            self._base = arrival + self._ahead - own
            self._last = own, arrival
            self._take(self._report)
        elif abs((own - before) - (arrival - arrived)) > JUMP:
            # Keep the distance between common clock and arrival that the track had.
            self._base += (arrival - arrived) - (own - before)
            self._reports.clear()
            self._doubtful = self._report = None
        else:
            self._approach(own - before)
        self._last = own, arrival
        return own + self._base

    def receive_report(self, report: SenderReport) -> None:
        if not report.ntp:
            return  # RFC 3550 6.4.1: the sender has no clock to tell
        self._report = report
        if self._base is not None:
            self._take(report)

    def _take(self, report: SenderReport | None) -> None:
        if report is None:
            return
        own = rescale(self._unwrapper.near(report.rtp), CLOCK, self._clock_hz)
        said = rescale(unix_ns_of(report.ntp), CLOCK, NS) - own
        before, doubtful, self._doubtful = self._reported, self._doubtful, None
        if before is None or abs(said - before) <= STEP:
            self._reports.append(said)
        elif doubtful is None or abs(said - doubtful) > STEP:
            self._doubtful = said
        else:
            self._reports.clear()
            self._reports.append(min(said, doubtful))
            self._stood_still(self._reports[0] - before)

    @property
    def _reported(self) -> int | None:
        return min(self._reports, default=None)

    def _stood_still(self, by: int) -> None:
        """The track's clock is so much later than reports had it: move what others follow, if that
        brings it nearer to when it arrives."""
        if self._leader is not None or self._base is None:
            return
        own, arrival = self._last
        late = arrival - own - self._base
        if abs(late - by) < abs(late):
            self._base += by

    def _error(self) -> int:
        """How far the track is from where the reports put it beside its leader."""
        leader = self._leader
        if leader is None or leader._base is None or self._base is None:
            return 0
        if leader._reported is None or self._reported is None:
            return 0
        error = leader._base + self._reported - leader._reported - self._base
        return error if abs(error) <= IMPLAUSIBLE else 0

    def _approach(self, step: int) -> None:
        error = self._error()
        if abs(error) <= (_STOP if self._correcting else _START):
            self._correcting = False
            return
        self._correcting = True
        most = max(0, step) // _SLOPE
        moved = max(-most, min(error, most))
        self._base = (self._base or 0) + moved
        self.corrected += moved
