"""AAC to Opus and back through a real child: what is heard is heard when it was."""

from dataclasses import replace
from itertools import pairwise

import pytest

from hotpath.media.opus import packet_samples
from hotpath.media.unit import AUDIO, Codec
from tests.support.bridges import bridged, clicks, coded_sound, found, heard, until

pytestmark = pytest.mark.integration
TIMES = (0.3, 0.8, 1.4, 2.1, 2.75)
MIDDLE = 0.001
"""Half a click: what is found is its middle."""


@pytest.mark.parametrize(
    ("rate", "layout", "clock_in", "clock_out"),
    [
        (48_000, "stereo", 48_000, 48_000),
        (44_100, "mono", 44_100, 48_000),
        (48_000, "5.1", 48_000, 48_000),
        (44_100, "stereo", 90_000, 90_000),
    ],
)
async def test_aac_to_opus(rate: int, layout: str, clock_in: int, clock_out: int) -> None:
    base_in, base_out = 1000 * clock_in, 1000 * clock_out
    sound = clicks(rate, 3.5, TIMES)
    source, units = coded_sound(Codec.AAC, sound, rate, layout, clock=clock_in, base=base_in)
    async with bridged(source, Codec.OPUS, clock_in=clock_in, clock_out=clock_out) as made:
        await made.feed(units)
        out = await made.outputs(3 * 50 + 10)
        (format,) = made.formats
        assert made.bridge.counts.total() == 0
    assert (format.track, format.codec, format.timescale, format.channels) == (
        AUDIO,
        Codec.OPUS,
        48_000,
        2,
    )
    assert format.config.startswith(b"OpusHead")
    assert {packet_samples(unit.data) for unit in out} == {960}
    assert {b.pts - a.pts for a, b in pairwise(out)} == {clock_out // 50}
    track = heard(format, out, clock=clock_out, base=base_out)
    for time in TIMES:
        assert found(track, time) == pytest.approx(time + MIDDLE, abs=0.005)
    # The frame that holds the first sample says when it came.
    for unit in out[5:]:
        position = (unit.pts - base_out) * 10**9 // clock_out + 10**9
        assert -(10**6) <= position - unit.ingest_ns <= 1024 * 10**9 // rate + 10**6


async def test_opus_to_aac() -> None:
    base = 1000 * 90_000
    sound = clicks(48_000, 3.5, TIMES)
    source, units = coded_sound(Codec.OPUS, sound, 48_000, "stereo", clock=90_000, base=base)
    async with bridged(source, Codec.AAC, clock_in=90_000, clock_out=90_000) as made:
        await made.feed(units)
        out = await made.outputs(150)
        (format,) = made.formats
    assert (format.codec, format.timescale, format.channels) == (Codec.AAC, 48_000, 2)
    assert format.codecs == "mp4a.40.2"
    assert format.config[:2] == b"\x11\x90"  # AAC-LC, 48 kHz, stereo
    assert {b.pts - a.pts for a, b in pairwise(out)} == {1920}
    track = heard(format, out, clock=90_000, base=base)
    for time in TIMES:
        assert found(track, time) == pytest.approx(time + MIDDLE, abs=0.005)


async def test_a_hole_is_silence_and_what_follows_is_in_its_place() -> None:
    sound = clicks(48_000, 3.5, TIMES)
    source, units = coded_sound(Codec.OPUS, sound, 48_000, "stereo", clock=48_000, base=0)
    lossy = [*units[:50], *units[51:60], *units[70:]]
    damaged = [replace(unit, damaged=n == 20) for n, unit in enumerate(lossy)]
    async with bridged(source, Codec.AAC) as made:
        await made.feed(damaged)
        out = await made.outputs(155)
        await until(lambda: made.bridge.counts["filled"] == 3)
        counts = made.bridge.counts
    assert {b.pts - a.pts for a, b in pairwise(out)} == {1024}
    track = heard(made.formats[0], out, clock=48_000, base=0)
    for time in TIMES:
        assert found(track, time) == pytest.approx(time + MIDDLE, abs=0.005)
    assert (counts["damaged"], counts["restarts"]) == (1, 0)


@pytest.mark.parametrize("jump_s", [10, -10])
async def test_a_jump_of_the_clock_is_followed(jump_s: int) -> None:
    sound = clicks(48_000, 3.5, TIMES)
    base = 100 * 48_000
    source, units = coded_sound(Codec.AAC, sound, 48_000, "stereo", clock=48_000, base=base)
    far = jump_s * 48_000
    later = [replace(unit, pts=unit.pts + far, dts=unit.dts + far) for unit in units[80:]]
    async with bridged(source, Codec.OPUS) as made:
        await made.feed([*units[:80], *later])
        out = await made.outputs(165)
    (jumped,) = [(a, b) for a, b in pairwise(out) if b.pts - a.pts != 960]
    after = out[out.index(jumped[1]) :]
    track = heard(made.formats[0], after, clock=48_000, base=base + far)
    for time in TIMES:
        if time > 1.8:
            assert found(track, time) == pytest.approx(time + MIDDLE, abs=0.005)


async def test_garbage_costs_nothing_but_itself() -> None:
    sound = clicks(48_000, 3.5, TIMES)
    source, units = coded_sound(Codec.AAC, sound, 48_000, "stereo", clock=48_000, base=0)
    bad = [replace(u, data=bytes(range(200)) if 60 <= n < 70 else u.data)
           for n, u in enumerate(units)]  # fmt: skip
    async with bridged(source, Codec.OPUS) as made:
        await made.feed(bad)
        out = await made.outputs(160)
        assert made.bridge.restarts == 0
    assert {b.pts - a.pts for a, b in pairwise(out)} == {960}
    track = heard(made.formats[0], out, clock=48_000, base=0)
    assert found(track, TIMES[-1]) == pytest.approx(TIMES[-1] + MIDDLE, abs=0.005)
