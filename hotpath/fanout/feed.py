"""One programme for WebRTC viewers: read from the bus, packetized once, pushed to the kernel.

Invariant: every frame is packetized once whatever the number of viewers; what nobody watches is not
encoded. The kernel streams of source and sound live as long as the feed: a new incarnation, format
or input of the programme goes on in them, at a keyframe, on the programme's own timeline. A rung of
the ladder has one while it is there; who watches is told when there are others than before.

Upstream: a bus cursor and, where the source cannot be used as it is, a `Transcode`. Downstream:
`Stream.push`, and `Watcher`s that are told when they can attach. Lives on the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

import structlog

from hotpath.bus.stream import Cursor, ProgramStream
from hotpath.fanout.kernel import Frame, Kernel, Stream
from hotpath.fanout.packetize import opus_payloads, profile_level_id
from hotpath.fanout.rendition import VIDEO_HZ, Rendition
from hotpath.fanout.selection import MAIN, Input, Kind, Selection
from hotpath.fanout.transcode import MakeBridge, Transcode
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Item, ProgramEnd, Unit
from infra.keys import ProgramKey
from infra.renditions import RUNGS
from infra.telemetry.stages import observe_stage

log = structlog.get_logger(__name__)

AUDIO_HZ = 48_000
LINGER_S = 10.0
"""An encode goes on for so long without viewers, so that a reload does not start it anew."""
KEYFRAME_EVERY_S = 1.0
RETRY_S = 1.0

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], "asyncio.Task[None]"]
"""A coroutine function and a name; made only when it runs, so an early cancel leaves nothing."""


class Watcher(Protocol):
    """One viewer, as the feed sees it."""

    def video_ready(self) -> None:
        """The renditions carry what is on the air now; called once."""

    def renditions_changed(self) -> None:
        """`Feed.renditions` are others than before; what is not among them will end at once."""


class Feed:
    """See the module for the invariant."""

    def __init__(
        self,
        key: ProgramKey,
        kernel: Kernel,
        make_bridge: MakeBridge | None,
        spawn: Spawn,
        *,
        request_keyframe: Callable[[], None] | None = None,
        linger_s: float = LINGER_S,
    ) -> None:
        self.key = key
        self._main = Rendition(MAIN, kernel.stream(VIDEO_HZ, video=True))
        self.renditions: tuple[Rendition, ...] = (self._main,)
        """The source first, then what there is of the ladder, the tallest first."""
        self.audio: Stream = kernel.stream(AUDIO_HZ, video=False)
        self.ended: bool | None = None
        """None: on the air; else whether the event is over (True) or may go on (False)."""
        self.skipped = 0
        """Units lost because this reader fell behind."""
        self._kernel = kernel
        self._make_bridge = make_bridge
        self._spawn = spawn
        self._request_keyframe = request_keyframe
        self._linger_s = linger_s
        self._selection = Selection()
        self._watchers: set[Watcher] = set()
        self._untold: set[Watcher] = set()
        """Those of them that have not been told yet that video is ready."""
        self._stream: ProgramStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._transcodes: dict[Kind, tuple[Transcode, asyncio.Task[None]]] = {}
        self._measured: dict[str, tuple[int, int]] = {}
        self._delay_ns: dict[str, int] = {}
        """Mean time from push to socket, as measured last."""
        self._idle: asyncio.TimerHandle | None = None
        self._asked_ns = 0
        self._log = log.bind(program=str(key))

    # -- the programme -----------------------------------------------------------------------

    def follow(self, stream: ProgramStream) -> None:
        """The programme is on the air as this stream; one that was followed before is left."""
        if self._reader is not None:
            self._reader.cancel()
        self._stop_transcodes()
        self._stream, self.ended = stream, None
        self._selection = Selection(rendition.name for rendition in self.renditions[1:])
        cursor = stream.cursor("keyframe")
        self._reader = self._spawn(lambda: self._keep_reading(cursor), f"feed {self.key}")

    def close(self) -> None:
        """Nothing follows; the kernel streams end."""
        if self._reader is not None:
            self._reader.cancel()
        if self._idle is not None:
            self._idle.cancel()
        self._stop_transcodes()
        for rendition in self.renditions:
            rendition.stream.close()
        self.audio.close()

    async def _keep_reading(self, cursor: Cursor) -> None:
        while True:
            try:
                await self._read(cursor)
            except Exception:
                # A bug that one source brings out must not end the programme for its viewers.
                log.exception("the WebRTC feed failed; it goes on", program=str(self.key))
                self._selection.skipped()
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _read(self, cursor: Cursor) -> None:
        skipped = cursor.skipped
        while items := await cursor.read():
            if cursor.skipped != skipped:
                self.skipped += cursor.skipped - skipped
                skipped = cursor.skipped
                self._selection.skipped()
                self._log.warning("the WebRTC feed fell behind", units_lost=skipped)
            for item in items:
                self._receive(item)
            self._reconcile()

    def _receive(self, item: Item) -> None:
        if isinstance(item, ProgramEnd):
            self.ended = item.final
        taken = self._selection.receive(item)
        if taken is None:
            return
        if taken.rendition == MAIN:
            self._push(taken.kind, taken.format, taken.unit, taken.wall_ns)
        else:
            self._rung(taken.rendition).push(taken.format, taken.unit, taken.wall_ns)

    # -- frames ------------------------------------------------------------------------------

    def _push(self, kind: Kind, format: Format, unit: Unit, wall_ns: int) -> None:
        """A unit of the source, as it came or encoded."""
        push = self._main.push if kind == "video" else self._push_sound
        if push(format, unit, wall_ns) and self._watchers and not unit.slate:
            name = MAIN if kind == "video" else AUDIO
            age_ns = time.time_ns() - unit.ingest_ns + self._delay_ns.get(name, 0)
            observe_stage("sent", age_ns / 1e9)

    def _push_sound(self, format: Format, unit: Unit, wall_ns: int) -> bool:
        payloads = opus_payloads(unit)
        if payloads:
            timestamp = unit.pts * AUDIO_HZ // format.timescale
            frame = Frame(timestamp, unit.keyframe, payloads, wall_ns, unit.capture_ns)
            self.audio.push(frame)
        return bool(payloads)

    @property
    def profile_level_id(self) -> str | None:
        """Of the H.264 that viewers get, for the SDP answer; None: not known yet."""
        return profile_level_id(self._main.format) if self._main.format else None

    def measure(self) -> int:
        """Note how long frames took from push to socket since last time; the mean, ns."""
        before, self._measured, self._delay_ns = self._measured, {}, {}
        streams = {rendition.name: rendition.stream for rendition in self.renditions}
        for name, stream in {**streams, AUDIO: self.audio}.items():
            delay, (count, sum_ns) = stream.delay, before.get(name, (0, 0))
            self._measured[name] = delay.count, delay.sum_ns
            sent = delay.count - count
            self._delay_ns[name] = (delay.sum_ns - sum_ns) // sent if sent else 0
        return max(self._delay_ns.values())

    @property
    def encodes(self) -> int:
        """How many bridges run for viewers now."""
        return len(self._transcodes)

    def request_keyframe(self) -> None:
        """A viewer has no picture and the ring no keyframe: ask a source that can be asked."""
        now = time.monotonic_ns()
        if self._request_keyframe is None or now - self._asked_ns < KEYFRAME_EVERY_S * 1e9:
            return
        self._asked_ns = now
        self._request_keyframe()

    # -- the ladder --------------------------------------------------------------------------

    def _rung(self, name: str) -> Rendition:
        """The rung's rendition, made with its first picture."""
        for rendition in self.renditions:
            if rendition.name == name:
                return rendition
        stream = self._kernel.stream(VIDEO_HZ, video=True)
        made = Rendition(name, stream, RUNGS[name].bitrate)
        self._set_rungs([*self.renditions[1:], made])
        return made

    def _drop_rungs(self) -> None:
        """Let go of the rungs that have ended; their viewers are told first."""
        held = self.renditions[1:]
        present = self._selection.rungs if held else frozenset()
        gone = [one for one in held if one.name not in present]
        if not gone:
            return
        self._set_rungs([one for one in held if one.name in present])
        self._log.info("renditions have ended", renditions=[one.name for one in gone])
        for rendition in gone:
            rendition.stream.close()

    def _set_rungs(self, rungs: Iterable[Rendition]) -> None:
        tallest = sorted(rungs, key=lambda rung: RUNGS[rung.name].height, reverse=True)
        self.renditions = (self._main, *tallest)
        for watcher in list(self._watchers):
            watcher.renditions_changed()

    # -- watchers ----------------------------------------------------------------------------

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def watch(self, watcher: Watcher) -> None:
        """Until `unwatch`; `video_ready` is called at once if there is video to attach to."""
        self._watchers.add(watcher)
        self._untold.add(watcher)
        self._reconcile()

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        self._untold.discard(watcher)
        if not self._watchers and self._transcodes and self._idle is None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._linger_s, self._stop_idle)

    def _stop_idle(self) -> None:
        self._idle = None
        if not self._watchers:
            self._stop_transcodes()

    def _reconcile(self) -> None:
        """Encode what is needed and watched, drop what is gone, tell who waits for video."""
        self._drop_rungs()
        if self._watchers and self._idle is not None:
            self._idle.cancel()
            self._idle = None
        selection = self._selection
        self._ensure("video", VIDEO, Codec.H264, needed=selection.video is Input.ENCODED)
        self._ensure("audio", AUDIO, Codec.OPUS, needed=selection.audio is Input.ENCODED)
        if self._untold and self._video_live():
            ready, self._untold = self._untold, set()
            for watcher in ready:
                watcher.video_ready()

    def _video_live(self) -> bool:
        if self._selection.video is Input.ENCODED:
            running = self._transcodes.get("video")
            return running is not None and running[0].live
        return self._selection.video is Input.SOURCE

    def _ensure(self, kind: Kind, track: str, target: Codec, *, needed: bool) -> None:
        running = self._transcodes.get(kind)
        if running is not None and not needed:
            self._stop(kind)
        if running is not None or not (needed and self._watchers):
            return
        if self._stream is None or self._make_bridge is None or self.ended is not None:
            return
        transcode = Transcode(
            self._stream,
            track,
            target,
            self._make_bridge,
            deliver=lambda format, unit, wall_ns: self._push(kind, format, unit, wall_ns),
            on_live=self._reconcile,
        )
        task = self._spawn(transcode.run, f"transcode {kind} {self.key}")
        self._transcodes[kind] = transcode, task

    def _stop(self, kind: Kind) -> None:
        _, task = self._transcodes.pop(kind)
        task.cancel()

    def _stop_transcodes(self) -> None:
        for kind in list(self._transcodes):
            self._stop(kind)
