"""Pictures that WebRTC cannot carry become pictures that it can, frame for frame."""

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import av
import pytest
from av.video.frame import PictureType

from hotpath.encode.job import EncodeSettings
from hotpath.media.annexb import nal_starts
from hotpath.media.h264 import IDR, PPS, SPS, parse_sps
from hotpath.media.unit import VIDEO, Codec, Format, Unit
from tests.support.bridges import PATIENT, bridged, until
from tests.support.coded import Coded, coded

pytestmark = pytest.mark.integration
SLACK = 4
"""Frames that the source's reordering keeps in the decoder."""


def kinds(unit: Unit) -> list[int]:
    return [unit.data[begin] & 31 for _, begin in nal_starts(unit.data)]


def pictures(format: Format, units: Sequence[Unit]) -> list[Any]:
    """Decoded without our decoder's set-up: a plain elementary stream."""
    data = b"".join(unit.data for unit in units)
    with av.open(io.BytesIO(data), "r", format="h264") as container:
        return list(container.decode(video=0))


async def normalised(
    source: Coded, settings: EncodeSettings = PATIENT
) -> tuple[list[Format], list[Unit]]:
    units = source.track(VIDEO)
    async with bridged(
        source.format(VIDEO), Codec.H264, clock_out=90_000, settings=settings
    ) as made:
        await made.feed(units)
        await made.outputs(len(units) - SLACK)
        assert made.bridge.counts.total() == 0
        return made.formats, made.units


@pytest.mark.parametrize("kind", ["h264-b", "hevc"])
async def test_every_frame_with_its_time_and_keyframes_where_the_source_has_them(
    kind: str,
) -> None:
    source = coded(kind, None, 6, 45)
    formats, out = await normalised(source)
    units = source.track(VIDEO)
    shown = sorted(unit.pts for unit in units)
    assert [unit.pts for unit in out] == shown[: len(out)]
    assert all(unit.pts == unit.dts for unit in out)
    keys = [unit.pts for unit in units if unit.keyframe and unit.pts <= out[-1].pts]
    assert [unit.pts for unit in out if unit.keyframe] == keys
    assert len(keys) == 4
    (format,) = formats
    assert (format.codec, format.timescale, format.width, format.height) == (
        Codec.H264,
        90_000,
        320,
        180,
    )
    assert format.frame_duration == 3000
    decoded = pictures(format, out)
    assert len(decoded) == len(out)


async def test_it_is_constrained_baseline_with_parameter_sets_before_each_idr() -> None:
    formats, out = await normalised(coded("h264-b", None, 6, 45))
    for unit in out:
        found = kinds(unit)
        if unit.keyframe:
            assert found.index(SPS) < found.index(PPS) < found.index(IDR)
        else:
            assert IDR not in found
    _, begin = next(nal_starts(formats[0].config))
    info = parse_sps(formats[0].config[begin:])
    assert info.profile == 66
    assert info.constraints & 0x40  # constraint_set1: constrained baseline
    assert formats[0].codecs == info.codecs
    assert {frame.pict_type for frame in pictures(formats[0], out)} == {
        PictureType.I,
        PictureType.P,
    }


async def test_a_long_gop_gets_an_idr_every_two_seconds() -> None:
    _, out = await normalised(coded("h264-b", None, 6, 900))
    keys = [unit.pts for unit in out if unit.keyframe]
    assert [b - a for a, b in pairwise(keys)] == [180_000] * (len(keys) - 1)
    assert len(keys) >= 3


async def test_the_picture_is_the_sources() -> None:
    source = coded("h264-b", None, 6, 45)
    formats, out = await normalised(source)
    ours = pictures(formats[0], out)
    with av.open(io.BytesIO(source.elementary[VIDEO]), "r", format="h264") as container:
        theirs = list(container.decode(video=0))
    for n in (0, 50, 100, 150):
        a = ours[n].to_ndarray(format="gray").astype(int)
        b = theirs[n].to_ndarray(format="gray").astype(int)
        assert abs(a - b).mean() < 6


async def test_what_is_damaged_is_left_out_up_to_the_next_keyframe() -> None:
    source = coded("h264-b", None, 6, 45)
    units = [replace(u, damaged=n == 50) for n, u in enumerate(source.track(VIDEO))]
    async with bridged(
        source.format(VIDEO), Codec.H264, clock_out=90_000, settings=PATIENT
    ) as made:
        await made.feed(units)
        await until(lambda: bool(made.units) and made.units[-1].pts >= units[-SLACK].pts - 12_000)
        await until(lambda: made.bridge.counts["damaged"] == 1)
        out, counts = made.units, made.bridge.counts
    again = next(unit.pts for unit in units[50:] if unit.keyframe)
    before = units[46].pts
    assert not [u for u in out if before + 6 * 3000 < u.pts < again]
    assert next(u for u in out if u.pts >= again).keyframe
    assert 20 <= counts["before-keyframe"] <= 45


async def test_garbage_costs_at_most_a_gop() -> None:
    source = coded("h264-b", None, 6, 45)
    units = source.track(VIDEO)
    bad = [
        replace(u, data=b"\0\0\0\1\x65" + bytes(range(256)) * 4) if 48 <= n < 60 else u
        for n, u in enumerate(units)
    ]
    async with bridged(
        source.format(VIDEO), Codec.H264, clock_out=90_000, settings=PATIENT
    ) as made:
        await made.feed(bad)
        await until(lambda: bool(made.units) and made.units[-1].pts >= units[-SLACK].pts - 12_000)
        assert made.bridge.restarts == 0
        out = made.units
    assert all(b.pts > a.pts for a, b in pairwise(out))
    assert units[90].keyframe
    again = units[90].pts
    later = [u.pts for u in out if u.pts >= again]
    assert later == sorted(u.pts for u in units if again <= u.pts <= out[-1].pts)
    assert len(later) > 60


async def test_another_size_is_another_format_at_a_keyframe() -> None:
    small = coded("h264-b", None, 2, 30)
    large = _scaled("640x360", start=180_000)
    async with bridged(small.format(VIDEO), Codec.H264, clock_out=90_000, settings=PATIENT) as made:
        await made.feed([*small.track(VIDEO), *large])
        await until(lambda: bool(made.units) and made.units[-1].pts >= 180_000 + 50 * 3000)
        formats, out = made.formats, made.units
    assert [(f.width, f.height) for f in formats] == [(320, 180), (640, 360)]
    assert next(u for u in out if u.pts >= 180_000).keyframe


async def test_larger_pictures_are_scaled_down_to_the_cap() -> None:
    source = coded("h264-b", None, 2, 30)
    formats, _ = await normalised(source, replace(PATIENT, video_height=90))
    assert [(f.width, f.height) for f in formats] == [(160, 90)]


async def test_interlaced_pictures_come_out_whole() -> None:
    units = _scaled("320x180", start=0, interlaced=True)
    source = coded("h264-b", None, 2, 30).format(VIDEO)
    format = replace(source, config=b"")
    async with bridged(format, Codec.H264, clock_out=90_000, settings=PATIENT) as made:
        await made.feed(units)
        out = await made.outputs(len(units) - SLACK - 4)
    assert [u.pts for u in out] == sorted(u.pts for u in units)[: len(out)]
    assert not any(frame.interlaced_frame for frame in pictures(made.formats[0], out))


async def test_frames_that_waited_too_long_are_left_out_and_counted() -> None:
    source = coded("h264-b", None, 6, 45)
    units = source.track(VIDEO)
    hurried = EncodeSettings(late_ms=1)
    async with bridged(
        source.format(VIDEO), Codec.H264, clock_out=90_000, settings=hurried
    ) as made:
        made.bridge.send(units)
        await until(lambda: made.bridge.counts["late"] + made.bridge.counts["skipped"] > 0)
        await until(lambda: made.bridge.waiting == 0)
        out = made.units
    assert len(out) < len(units)
    assert all(b.pts > a.pts for a, b in pairwise(out))


def _scaled(size: str, *, start: int, interlaced: bool = False) -> list[Unit]:
    """Two seconds in another size, encoded by PyAV."""
    width, height = (int(n) for n in size.split("x"))
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate, encoder.gop_size = 30, 30
    options = {"preset": "veryfast"}
    if interlaced:
        options["x264-params"] = "tff=1"
    encoder.options = options
    encoder.open()
    units = []
    for n in range(61):
        frame = av.VideoFrame(width, height, "yuv420p") if n < 60 else None
        if frame is not None:
            for plane in frame.planes:
                plane.update(bytes([(n * 4) % 256]) * plane.buffer_size)
            frame.pts = n
        for packet in encoder.encode(frame):
            pts, dts = start + packet.pts * 3000, start + packet.dts * 3000
            units.append(Unit(VIDEO, pts, dts, packet.is_keyframe, bytes(packet), 1, 1))
    return units
