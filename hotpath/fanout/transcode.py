"""One shared encode of a programme's track for WebRTC, for as long as somebody watches it.

Invariant: the bridge gets every unit of its track from its first keyframe on, in order, and a new
one starts after a format change, a loss or a failure. `live` is true from the moment its output has
caught up with the programme: who attaches before would be served the past.

Upstream: a bus cursor of its own, so a slow encoder costs nobody else a frame. Downstream: the
feed's `deliver`. The bridge comes from the node, which alone knows `hotpath.encode`.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from hotpath.bus.stream import ProgramStream
from hotpath.media.unit import (
    VIDEO,
    Codec,
    Format,
    FormatChange,
    Item,
    Sample,
    Unit,
)

log = structlog.get_logger(__name__)

NS = 1_000_000_000
CAUGHT_UP_NS = 400_000_000
"""Media time by which the output may trail the programme and still be live."""
RETRY_S = (1.0, 30.0)
"""Wait after a failure; doubled after each that follows, up to the second figure."""


class Bridge(Protocol):
    """A running encoder. Its output comes on the event loop."""

    def send(self, units: Sequence[Unit]) -> None: ...

    def close(self) -> None: ...


OnOutput = Callable[[Format, Sequence[Unit]], None]
MakeBridge = Callable[[Format, Codec, OnOutput], Bridge]
Deliver = Callable[[Format, Unit, int], None]
"""(format, unit on the programme's timeline, wall clock of its pts)"""


class Transcode:
    """See the module for the invariant."""

    def __init__(
        self,
        stream: ProgramStream,
        track: str,
        target: Codec,
        make_bridge: MakeBridge,
        *,
        deliver: Deliver,
        on_live: Callable[[], None],
    ) -> None:
        self.live = False
        self.failures = 0
        self._stream = stream
        self._track = track
        self._target = target
        self._make_bridge = make_bridge
        self._deliver = deliver
        self._on_live = on_live
        self._bridge: Bridge | None = None
        self._turn = 0
        """Which bridge is present; one that was closed may still have output on its way."""
        self._format = stream.formats.get(track)
        self._epoch_ns = 0
        """Wall clock of pts 0; `Mark.pdt_ns` counts from it in every track."""
        self._newest_ns = 0
        self._retry_s = RETRY_S[0]
        self._waiting = True
        """For the unit that the next bridge can start from."""
        self._about = {"program": str(stream.key), "track": track, "target": target.value}

    async def run(self) -> None:
        """Until the programme is over; cancel to stop."""
        # Audio can start anywhere; video needs the keyframe that the ring still holds.
        cursor = self._stream.cursor("keyframe" if self._track == VIDEO else "live")
        skipped = 0
        try:
            while items := await cursor.read():
                if cursor.skipped != skipped:
                    skipped = cursor.skipped
                    self._restart()
                if not self._send(items):
                    await asyncio.sleep(self._retry_s)
                    self._retry_s = min(2 * self._retry_s, RETRY_S[1])
        finally:
            self._restart()

    def _send(self, items: Sequence[Item]) -> bool:
        """False: the bridge has failed; try again later."""
        units: list[Unit] = []
        for item in items:
            match item:
                case FormatChange(format=format) if format.track == self._track:
                    if not self._flush(units):
                        return False
                    units = []
                    self._format = format
                    self._restart()
                case Sample(unit=unit, mark=mark) if unit.track == self._track:
                    if self._usable(unit):
                        self._note(unit, mark.pdt_ns)
                        units.append(unit)
                case _:
                    continue
        return self._flush(units)

    def _usable(self, unit: Unit) -> bool:
        if unit.damaged:
            self._waiting = self._track == VIDEO
            return False
        if self._waiting and not unit.keyframe:
            return False
        self._waiting = False
        return True

    def _note(self, unit: Unit, pdt_ns: int) -> None:
        if self._format is not None:
            offset_ns = unit.pts * NS // self._format.timescale
            self._epoch_ns = pdt_ns - offset_ns
            self._newest_ns = offset_ns

    def _flush(self, units: Sequence[Unit]) -> bool:
        if not units or self._format is None:
            return True
        try:
            if self._bridge is None:
                output = partial(self._output, self._turn)
                self._bridge = self._make_bridge(self._format, self._target, output)
            self._bridge.send(units)
        except Exception:
            # Whatever an encoder dies of, the programme's other tracks and viewers go on.
            self.failures += 1
            log.exception("an encode for viewers failed; it starts again", **self._about)
            self._restart()
            return False
        return True

    def _output(self, turn: int, format: Format, units: Sequence[Unit]) -> None:
        if turn != self._turn:
            return
        self._retry_s = RETRY_S[0]
        for unit in units:
            offset_ns = unit.pts * NS // format.timescale
            self._deliver(format, unit, self._epoch_ns + offset_ns)
            if not self.live and offset_ns >= self._newest_ns - CAUGHT_UP_NS:
                self.live = True
                self._on_live()

    def _restart(self) -> None:
        bridge, self._bridge = self._bridge, None
        self._turn += 1
        self._waiting = True
        if bridge is not None:
            bridge.close()
