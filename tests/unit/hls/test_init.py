"""Init sections: made by FFmpeg's muxer, with our timescale, or refused with a reason."""

import io
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from hotpath.hls.init import InitSectionError, init_section, media_timescale
from hotpath.media.unit import AUDIO, VIDEO, Format
from tests.support.coded import coded

SOURCES = [("h264", "aac"), ("h264-b", "opus"), ("hevc", "aac")]


@pytest.mark.parametrize(("video", "audio"), SOURCES)
def test_the_timescale_is_the_programmes(video: str, audio: str) -> None:
    for format in coded(video, audio).formats:
        data = init_section(format)
        assert media_timescale(data) == format.timescale
        with av.open(io.BytesIO(data), "r", format="mp4") as container:
            (stream,) = container.streams
            assert stream.time_base == Fraction(1, format.timescale)
            assert stream.type == format.codec.kind


@pytest.mark.parametrize(("rate", "config"), [(48_000, "1190"), (44_100, "1210"), (32_000, "1288")])
def test_audio_counts_in_samples(rate: int, config: str) -> None:
    aac = coded().format(AUDIO)
    format = replace(aac, timescale=rate, sample_rate=rate, config=bytes.fromhex(config))
    data = init_section(format)
    assert media_timescale(data) == rate
    assert bytes.fromhex(config) in data


def test_there_is_no_edit_list_to_shift_the_timeline() -> None:
    for video, audio in SOURCES:
        for format in coded(video, audio).formats:
            assert b"elst" not in init_section(format)


def test_hevc_keeps_its_parameter_sets_out_of_the_samples() -> None:
    data = init_section(coded("hevc", "aac").format(VIDEO))
    assert b"hvc1" in data
    assert b"hev1" not in data


def test_size_and_channels_are_the_formats() -> None:
    source = coded()
    with av.open(io.BytesIO(init_section(source.format(VIDEO))), "r", format="mp4") as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 180)
    mono = replace(source.format(AUDIO), channels=1, config=bytes.fromhex("1188"))
    with av.open(io.BytesIO(init_section(mono)), "r", format="mp4") as container:
        assert container.streams.audio[0].channels == 1


def test_the_same_format_gives_the_same_bytes_once() -> None:
    format = coded().format(VIDEO)
    assert init_section(format) is init_section(replace(format))


@pytest.mark.parametrize("config", [b"", b"garbage", b"\0\0\1\x67garbage", b"\0\0\1"])
@pytest.mark.parametrize("video", ["h264", "hevc"])
def test_a_useless_configuration_is_refused(video: str, config: bytes) -> None:
    format: Format = replace(coded(video, "aac").format(VIDEO), config=config)
    with pytest.raises(InitSectionError):
        init_section(format)


def test_a_picture_without_size_is_refused() -> None:
    with pytest.raises(InitSectionError):
        init_section(replace(coded().format(VIDEO), width=0, height=0))


def test_opus_without_its_header_is_refused() -> None:
    with pytest.raises(InitSectionError, match="OpusHead"):
        init_section(replace(coded("h264-b", "opus").format(AUDIO), config=b"\x11\x90"))
