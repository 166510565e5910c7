"""Programmes that are off the air, until their players are done.

Invariant: what they hold in memory goes when its time has come, though nothing more is published
that would remind them of it; all of it goes `linger_s` after the end.

Upstream: `origin`, which lets programmes go. Downstream: `live` says what is due when. Lives on the
event loop.
"""

import asyncio
from collections.abc import Callable

from hotpath.hls.live import LivePlaylists

_LEAST_S = 1.0
"""Between two looks at a programme: what is due by then goes at once."""


class Lingering:
    """See the module for the invariant."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._ends: dict[LivePlaylists, asyncio.TimerHandle] = {}
        self._looks: dict[LivePlaylists, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def let_go(self, playlists: LivePlaylists, gone: Callable[[], None]) -> None:
        """Nothing follows. `gone`: called when nobody can want it any more."""
        self._cancel(playlists)

        def end() -> None:
            self._cancel(playlists)
            gone()

        loop = asyncio.get_running_loop()
        self._ends[playlists] = loop.call_later(playlists.linger_s, end)
        self._look_later(playlists)

    def forget(self, playlists: LivePlaylists) -> None:
        """It is gone already."""
        self._cancel(playlists)

    def stop(self) -> None:
        """Nothing is served any more."""
        for playlists in list(self._ends):
            self._cancel(playlists)

    def _look_later(self, playlists: LivePlaylists) -> None:
        due_ms = playlists.next_deadline()
        if due_ms is None:
            return
        wait_s = max((due_ms - self._clock_ms()) / 1000, _LEAST_S)
        loop = asyncio.get_running_loop()
        self._looks[playlists] = loop.call_later(wait_s, self._look, playlists)

    def _look(self, playlists: LivePlaylists) -> None:
        del self._looks[playlists]
        playlists.expire(self._clock_ms())
        self._look_later(playlists)

    def _cancel(self, playlists: LivePlaylists) -> None:
        for timers in (self._ends, self._looks):
            if (timer := timers.pop(playlists, None)) is not None:
                timer.cancel()
