"""The shared encode: what reaches the bridge, when its output is live, and what a failure costs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.transcode import OnOutput, Transcode
from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    FormatChange,
    Mark,
    ProgramEnd,
    Sample,
    Unit,
)
from infra.keys import ProgramKey

WALL = 1_790_000_000_000_000_000
HEVC = Format(VIDEO, Codec.HEVC, 90_000, b"", "hvc1.1.6.L60.90")
H264 = Format(VIDEO, Codec.H264, 90_000, b"", "avc1.42c01f")
AAC = Format(AUDIO, Codec.AAC, 44_100, b"", "mp4a.40.2")
OPUS = Format(AUDIO, Codec.OPUS, 48_000, b"", "opus")


def video(frame: int, *, key: bool = False, damaged: bool = False) -> Sample:
    pts = frame * 3_000
    unit = Unit(VIDEO, pts, pts, key, b"%d" % frame, 1, 1, damaged=damaged)
    return Sample(unit, Mark(0, 0, 0, key, WALL + pts * 1_000_000_000 // 90_000), 1)


@dataclass
class Encoder:
    """A bridge that hands its input on when it is told to."""

    source: Format
    on_output: OnOutput
    got: list[Unit] = field(default_factory=list)
    closed: bool = False

    def send(self, units: Sequence[Unit]) -> None:
        if any(unit.data == b"66" for unit in units):
            raise RuntimeError("cannot decode this")
        self.got += units

    def close(self) -> None:
        self.closed = True


@dataclass
class Rig:
    stream: ProgramStream
    track: str = VIDEO
    encoders: list[Encoder] = field(default_factory=list)
    delivered: list[tuple[int, int]] = field(default_factory=list)
    lived: int = 0

    def transcode(self) -> Transcode:
        target = Codec.H264 if self.track == VIDEO else Codec.OPUS
        return Transcode(
            self.stream, self.track, target, self._make, deliver=self._deliver, on_live=self._live
        )

    def _make(self, source: Format, target: Codec, on_output: OnOutput) -> Encoder:
        self.encoders.append(Encoder(source, on_output))
        return self.encoders[-1]

    def _deliver(self, format: Format, unit: Unit, wall_ns: int) -> None:
        self.delivered.append((unit.pts, wall_ns))

    def _live(self) -> None:
        self.lived += 1

    def frames(self) -> list[list[int]]:
        return [[unit.pts // 3_000 for unit in encoder.got] for encoder in self.encoders]


def stream_of(*formats: Format) -> ProgramStream:
    stream = ProgramStream(ProgramKey("acme", "ev_1"), "i1")
    stream.publish([FormatChange(format, 0) for format in formats])
    return stream


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_starts_from_the_keyframe_that_the_ring_still_holds() -> None:
    rig = Rig(stream_of(HEVC))
    rig.stream.publish([video(0, key=True), video(1), video(2, key=True), video(3)])
    task = asyncio.ensure_future(rig.transcode().run())
    await settled()
    rig.stream.publish([video(4), ProgramEnd(final=True)])
    await task
    assert rig.frames() == [[2, 3, 4]]
    assert rig.encoders[0].closed


async def test_output_is_live_when_it_has_caught_up_and_carries_the_programmes_clock() -> None:
    rig = Rig(stream_of(HEVC))
    rig.stream.publish([video(n, key=n == 0) for n in range(60)])
    transcode = rig.transcode()
    task = asyncio.ensure_future(transcode.run())
    await settled()
    encoder = rig.encoders[0]
    encoder.on_output(H264, encoder.got[:40])
    assert (transcode.live, rig.lived) == (False, 0)
    encoder.on_output(H264, encoder.got[40:])
    assert (transcode.live, rig.lived) == (True, 1)
    assert rig.delivered[30] == (90_000, WALL + 1_000_000_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert encoder.closed


async def test_output_in_another_clock_keeps_the_wall_time() -> None:
    rig = Rig(stream_of(AAC), track=AUDIO)
    task = asyncio.ensure_future(rig.transcode().run())
    await settled()
    unit = Unit(AUDIO, 44_100, 44_100, True, b"a", 1, 1)
    rig.stream.publish([Sample(unit, Mark(0, 0, 0, True, WALL + 1_000_000_000), 1)])
    await settled()
    rig.encoders[0].on_output(OPUS, [replace(unit, pts=72_000)])
    assert rig.delivered == [(72_000, WALL + 1_500_000_000)]
    rig.stream.publish([ProgramEnd(final=True)])
    await task


async def test_a_new_format_gets_a_new_encoder_from_its_keyframe() -> None:
    rig = Rig(stream_of(HEVC))
    task = asyncio.ensure_future(rig.transcode().run())
    await settled()
    rig.stream.publish([video(0, key=True), video(1)])
    await settled()
    rig.stream.publish(
        [FormatChange(replace(HEVC, width=640), 1), video(2), video(3, key=True), video(4)]
    )
    rig.stream.publish([ProgramEnd(final=True)])
    await task
    assert rig.frames() == [[0, 1], [3, 4]]
    assert [encoder.source.width for encoder in rig.encoders] == [0, 640]


async def test_damage_is_skipped_to_the_next_keyframe() -> None:
    rig = Rig(stream_of(HEVC))
    task = asyncio.ensure_future(rig.transcode().run())
    await settled()
    rig.stream.publish([video(0, key=True), video(1, damaged=True), video(2)])
    await settled()
    rig.stream.publish([video(3, key=True), video(4), ProgramEnd(final=True)])
    await task
    assert rig.frames() == [[0, 3, 4]]


async def test_an_encoder_that_fails_is_replaced_at_a_keyframe() -> None:
    rig = Rig(stream_of(HEVC))
    transcode = rig.transcode()
    task = asyncio.ensure_future(transcode.run())
    await settled()
    rig.stream.publish([video(0, key=True)])
    await settled()
    rig.stream.publish([video(66)])
    await settled()
    rig.stream.publish([video(67), video(68, key=True), ProgramEnd(final=True)])
    await task
    assert rig.frames() == [[0], [68]]
    assert (transcode.failures, rig.encoders[0].closed) == (1, True)
