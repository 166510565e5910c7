"""Markers of one programme, as WebRTC viewers are told of them.

Invariant: a marker is news once, and once more when its end is known; a viewer that comes later is
told of at most `MOST_RECALLED`, which are open or were over less than `RECALLED_MS` ago. Pure.

Upstream: `service`, with what the desired state carries. Downstream: the SSE event `marker`.
"""

from collections.abc import Mapping, Sequence

from infra.events.desired import DesiredMarker

RECALLED_MS = 60_000
MOST_RECALLED = 16


class Markers:
    """See the module for the invariant."""

    def __init__(self) -> None:
        self._known: dict[str, DesiredMarker] = {}
        """Those that there are now."""
        self._told: dict[str, DesiredMarker] = {}
        """What viewers were told of each, gone or not; control bounds how many an event has."""

    def receive(self, markers: Sequence[DesiredMarker]) -> list[Mapping[str, object]]:
        """These are all that there are now, oldest first; what viewers do not know yet.

        One that was away for a while, because there were too many, is no news.
        """
        news = [marker for marker in markers if self._told.get(marker.id) != marker]
        self._told |= {marker.id: marker for marker in news}
        self._known = {marker.id: marker for marker in markers}
        return [told(marker) for marker in news]

    def recalled(self, now_ms: int) -> list[Mapping[str, object]]:
        """What a viewer that comes now still needs, oldest first."""
        wanted = [
            told(marker)
            for marker in self._known.values()
            if marker.end_ms is None or marker.end_ms > now_ms - RECALLED_MS
        ]
        return wanted[-MOST_RECALLED:]


def told(marker: DesiredMarker) -> Mapping[str, object]:
    """The data of the SSE event."""
    return marker.model_dump(exclude_none=True)
