"""When to ask a WHIP publisher for a keyframe: after damage, and once a segment.

Invariant: at most one request a `MIN_GAP_NS`. Browsers send keyframes only when asked, so one is
wanted every `interval_ns`; an encoder whose keyframes come by themselves often enough is not asked.

Pure. Upstream: `hotpath.ingest.whip_publisher`. Downstream: the PLI or FIR it sends.
"""

from typing import Literal

MIN_GAP_NS = 1_000_000_000
_ROUND_TRIP_NS = 100_000_000
"""Asked this much early: the answer takes a round trip and a frame."""
_LATE_NS = 150_000_000
"""A keyframe that comes by itself may be so late: no longer, or one that has to be asked for comes
when its segment is already too long."""
_FIRST_NS = 300_000_000
"""A first keyframe that is on its way needs no request."""
_UNANSWERED = 2
"""Requests without a keyframe after which the other kind of request is tried as well."""

Request = Literal["pli", "fir"]


class KeyframeRequests:
    def __init__(self, interval_ns: int, *, fir: bool) -> None:
        self.unanswered = 0
        """Requests since the last keyframe."""
        self._interval_ns = interval_ns
        self._fir = fir
        self._wanted_since: int | None = None
        self._keyframe_ns: int | None = None
        self._asked_ns: int | None = None
        self._by_itself = True
        """Keyframes come often enough; believed until one is overdue."""

    def start(self, now: int) -> None:
        """Video is there: a first keyframe is needed, unless it comes at once."""
        if self._keyframe_ns is None and self._wanted_since is None:
            self._wanted_since = now + _FIRST_NS

    def receive_keyframe(self, now: int) -> None:
        if self._keyframe_ns is not None and self.unanswered:
            self._by_itself = False
        self._keyframe_ns = now
        self._wanted_since = None
        self.unanswered = 0

    def want(self, now: int) -> None:
        """Nothing is decodable before the next keyframe, or somebody has no picture."""
        self._wanted_since = min(now, self._wanted_since or now)

    def next_deadline(self) -> int | None:
        if self._wanted_since is not None:
            due = self._wanted_since
        elif self._keyframe_ns is not None:
            patience = _LATE_NS if self._by_itself else -_ROUND_TRIP_NS
            due = self._keyframe_ns + self._interval_ns + patience
        else:
            return None
        return due if self._asked_ns is None else max(due, self._asked_ns + MIN_GAP_NS)

    def poll(self, now: int) -> tuple[Request, ...]:
        """The requests to send now; several kinds where the usual one goes unanswered."""
        due = self.next_deadline()
        if due is None or due > now:
            return ()
        self._asked_ns = now
        self.unanswered += 1
        return ("pli", "fir") if self._fir and self.unanswered > _UNANSWERED else ("pli",)
