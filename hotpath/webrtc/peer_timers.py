"""When the peers of a port are polled: those with something under way often, all others seldom.

Invariant: a peer that is watched is polled every `_TICK_S` until it is idle, and every peer every
`_SWEEP_S`; nobody is called silent by a loop that was itself stuck. While nobody is watched nothing
wakes up in between.

Upstream: `mux`, whose peers these are. Downstream: `Peer.poll`.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from hotpath.webrtc.peer import Peer

_TICK_S = 0.02
_SWEEP_S = 1.0
_STALLED_NS = 1_000_000_000
"""A loop that was stuck for this long first reads what waits before it calls a peer silent."""


class PeerTimers:
    def __init__(
        self, peers: Collection[Peer], sweep: Callable[[int], None], now: Callable[[], int]
    ) -> None:
        """`peers`: those there are at any time. `sweep`: what else is due once a second."""
        self._peers = peers
        self._sweep = sweep
        self._now = now
        self._hasty: set[Peer] = set()
        self._haste = asyncio.Event()

    @property
    def idle(self) -> bool:
        """No peer has anything under way."""
        return not self._hasty

    def watch(self, peer: Peer) -> None:
        """It has something under way."""
        self._hasty.add(peer)
        self._haste.set()

    def forget(self, peer: Peer) -> None:
        self._hasty.discard(peer)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + _SWEEP_S
        while True:
            if not self._hasty:
                await self._rest(due - loop.time())
            before = self._now()
            await asyncio.sleep(_TICK_S)
            now, sweep = self._now(), loop.time() >= due
            if sweep and now - before > _STALLED_NS:
                continue
            for peer in list(self._peers if sweep else self._hasty):
                peer.poll(now)
                if not peer.busy:
                    self._hasty.discard(peer)
            if sweep:
                self._sweep(now)
                due = loop.time() + _SWEEP_S

    async def _rest(self, seconds: float) -> None:
        """Until a peer has something under way, or for so long."""
        self._haste.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._haste.wait()
