"""The demo's encoder with a real ffmpeg."""

from pathlib import Path

import pytest

from infra.demo.encoder import Encoder
from infra.demo.errors import EncoderFailed
from infra.demo.programme import Programme
from infra.demo.verify import inspect

pytestmark = pytest.mark.integration


@pytest.fixture
def programme() -> Programme:
    return Programme(640, 360, 30)


def test_every_frame_that_was_sent_is_in_the_stream(tmp_path: Path, programme: Programme) -> None:
    out = tmp_path / "out.ts"
    with Encoder(str(out), programme) as encoder:
        encoder.publish(2, lambda: False)
        sent = encoder.frames_sent
    archive = inspect(out)
    assert sent == 60
    # ffmpeg is ended from outside, and given the time to write what it has.
    assert sorted(archive.frames) == list(range(60))
    assert archive.has_sound


def test_stops_between_two_frames_when_asked(tmp_path: Path, programme: Programme) -> None:
    with Encoder(str(tmp_path / "out.ts"), programme) as encoder:
        encoder.publish(60, lambda: encoder.frames_sent >= 5)
        assert encoder.frames_sent == 5


def test_refused_connection_says_what_ffmpeg_said(programme: Programme) -> None:
    url = "srt://127.0.0.1:9?mode=caller&connect_timeout=200"
    with Encoder(url, programme) as encoder, pytest.raises(EncoderFailed, match="ffmpeg stopped"):
        encoder.publish(10, lambda: False)
