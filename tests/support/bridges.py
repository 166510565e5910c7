"""Bridges under test, and sound whose moments can be found again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np

from hotpath.encode.bridge import Bridge
from hotpath.encode.job import EncodeSettings
from hotpath.media.opus import opus_head
from hotpath.media.unit import AUDIO, Codec, Format, Unit

PATIENT = EncodeSettings(late_ms=60_000)
"""Tests feed faster than real time."""
NS = 1_000_000_000


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass
class Collected:
    """A running bridge and all that came out of it."""

    bridge: Bridge
    units: list[Unit] = field(default_factory=list)
    formats: list[Format] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def feed(self, units: Sequence[Unit]) -> None:
        """As fast as the child takes them, so that nothing is dropped for want of room."""
        for unit in units:
            self.bridge.send([unit])
            await until(lambda: self.bridge.waiting < 16)

    async def outputs(self, count: int) -> list[Unit]:
        await until(lambda: len(self.units) >= count)
        return self.units


@asynccontextmanager
async def bridged(
    source: Format,
    target: Codec,
    *,
    clock_in: int | None = None,
    clock_out: int = 48_000,
    settings: EncodeSettings = PATIENT,
    **options: Any,
) -> AsyncIterator[Collected]:
    def receive(format: Format, units: Sequence[Unit]) -> None:
        if not collected.formats or collected.formats[-1] != format:
            collected.formats.append(format)
        collected.units += units

    failed: list[str] = []
    bridge = Bridge(
        source,
        target,
        clock_in=clock_in or source.timescale,
        clock_out=clock_out,
        on_output=receive,
        on_failed=failed.append,
        settings=settings,
        **options,
    )
    collected = Collected(bridge, failed=failed)
    task = asyncio.create_task(bridge.run())
    try:
        yield collected
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# -- sound with clicks -------------------------------------------------------------------------


def clicks(rate: int, seconds: float, times: Sequence[float]) -> np.ndarray:
    """Silence but for a burst of 2 ms at each time."""
    sound = np.zeros(round(rate * seconds), np.float32)
    burst = np.sin(np.arange(rate // 500) * 2 * np.pi * 2000 / rate) * np.hanning(rate // 500)
    for time in times:
        at = round(time * rate)
        sound[at : at + len(burst)] += 0.8 * burst
    return sound


def coded_sound(
    codec: Codec, sound: np.ndarray, rate: int, layout: str, *, clock: int, base: int
) -> tuple[Format, list[Unit]]:
    """The sound in every channel; its first sample is at `base` ticks of `clock`."""
    encoder: Any = av.CodecContext.create("libopus" if codec is Codec.OPUS else "aac", "w")
    encoder.sample_rate, encoder.layout = rate, layout
    encoder.format = "flt" if codec is Codec.OPUS else "fltp"
    encoder.bit_rate = 128_000
    encoder.open()
    channels, size = encoder.layout.nb_channels, encoder.frame_size
    packets: list[Any] = []
    for at in range(0, len(sound) - size + 1, size):
        plane = np.repeat(sound[None, at : at + size], channels, axis=0)
        if codec is Codec.OPUS:
            plane = plane.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(plane), format=encoder.format.name, layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    config = opus_head(channels) if codec is Codec.OPUS else bytes(encoder.extradata)
    format = Format(
        AUDIO, codec, rate, config, "", sample_rate=rate, channels=channels, frame_duration=size
    )
    units = []
    for packet in packets:
        pts = base + round(packet.pts * clock / rate)
        at_ns = NS + (pts - base) * NS // clock
        units.append(Unit(AUDIO, pts, pts, True, bytes(packet), at_ns, at_ns))
    return format, units


def heard(format: Format, units: Sequence[Unit], *, clock: int, base: int) -> np.ndarray:
    """What a player hears from `base` on, one channel at 48 kHz, each frame at its timestamp."""
    opus = format.codec is Codec.OPUS
    decoder: Any = av.CodecContext.create("libopus" if opus else "aac", "r")
    if opus:
        decoder.sample_rate, decoder.layout = 48_000, "stereo"
    else:
        decoder.extradata = format.config
    end = round((units[-1].pts - base) * 48_000 / clock) + 4096
    track = np.zeros(end, np.float32)
    for unit in units:
        for frame in decoder.decode(av.Packet(unit.data)):
            samples = frame.to_ndarray().astype(np.float32)
            if opus:
                samples = samples.reshape(-1, 2).T / 32768
            at = round((unit.pts - base) * 48_000 / clock)
            cut = max(-at, 0)
            if cut < samples.shape[1]:
                track[at + cut : at + samples.shape[1]] = samples[0][cut:]
    return track


def found(track: np.ndarray, near: float, within: float = 0.1) -> float:
    """Seconds at which the click is that should be near."""
    low, high = max(round((near - within) * 48_000), 0), round((near + within) * 48_000)
    loud = np.abs(track[low:high])
    assert loud.max() > 0.1, "no click"
    weights = loud**2
    return float((low + (np.arange(len(loud)) * weights).sum() / weights.sum()) / 48_000)
