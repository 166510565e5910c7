"""Silence that is written, not encoded: what independent decoders make of it."""

from typing import Any

import av
import pytest

from hotpath.media.opus import opus_head
from hotpath.media.silence import silence_for
from hotpath.media.unit import AUDIO, Codec, Format

CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}


def aac(channels: int, *, object_type: int = 2, rate_index: int = 3, frame: int = 1024) -> Format:
    config = object_type << 11 | rate_index << 7 | channels << 3
    return Format(
        AUDIO, Codec.AAC, 48_000, config.to_bytes(2, "big"), "mp4a.40.2", frame_duration=frame
    )


def opus(channels: int) -> Format:
    return Format(AUDIO, Codec.OPUS, 48_000, opus_head(channels), "opus", frame_duration=960)


def decoded(format: Format, name: str, times: int = 5) -> list[Any]:
    silence = silence_for(format)
    assert silence is not None
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.extradata = format.config
    return [frame for _ in range(times) for frame in decoder.decode(av.Packet(silence.data))]


def silent(frame: Any) -> bool:
    """PyAV does not count the planes of eight channels right, so they are interleaved first."""
    resampler = av.AudioResampler(format="s16", layout=frame.layout.name)
    size = 2 * frame.samples * len(frame.layout.channels)
    return not any(any(bytes(each.planes[0])[:size]) for each in resampler.resample(frame))


@pytest.mark.parametrize("configuration", CHANNELS)
def test_aac_of_every_channel_configuration_is_silent(configuration: int) -> None:
    frames = decoded(aac(configuration), "aac")
    assert len(frames) == 5
    for frame in frames:
        assert frame.samples == 1024
        assert len(frame.layout.channels) == CHANNELS[configuration]
        assert silent(frame)


@pytest.mark.parametrize("object_type", [1, 2, 4])
def test_aac_of_other_object_types_is_silent(object_type: int) -> None:
    frames = decoded(aac(2, object_type=object_type), "aac")
    assert len(frames) == 5
    assert all(silent(frame) for frame in frames)


def test_a_stereo_frame_is_a_handful_of_bytes() -> None:
    silence = silence_for(aac(2))
    assert silence is not None
    assert len(silence.data) <= 8


@pytest.mark.parametrize("channels", range(1, 9))
def test_opus_of_every_channel_count_is_silent(channels: int) -> None:
    frames = decoded(opus(channels), "libopus" if channels > 2 else "opus")
    assert len(frames) == 5
    for frame in frames:
        assert len(frame.layout.channels) == channels
        assert frame.samples <= 960
        assert silent(frame)


def test_a_frame_lasts_as_long_as_the_format_says() -> None:
    long = silence_for(aac(2, frame=2048))
    packet = silence_for(opus(2))
    assert long is not None
    assert packet is not None
    assert (long.samples, packet.samples) == (2048, 960)


@pytest.mark.parametrize("config", [b"", b"\x11", b"\x11\x80", b"\xf8\x50", b"\x10\x00"])
def test_what_is_not_understood_has_no_silence(config: bytes) -> None:
    assert silence_for(Format(AUDIO, Codec.AAC, 48_000, config, "mp4a.40.2")) is None
