"""The archive's inspection, on files that are whole and files that are not."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from infra.demo.encoder import SPEECH
from infra.demo.errors import DemoError
from infra.demo.programme import Programme
from infra.demo.verify import Archive, Audio, inspect, ranges

FPS = 30


def make(path: Path, indices: list[int], audio: list[str]) -> Archive:
    """An MP4 of these frames with this audio input."""
    programme = Programme(320, 180, FPS)
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x180", "-r", str(FPS), "-i", "-"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest"]
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *audio, *coding, str(path)],
        input=b"".join(programme.frame(0, index) for index in indices),
        check=True,
    )
    return inspect(path)


SPEECH_IN = ["-i", str(SPEECH)]
SILENCE_IN = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono"]


def test_whole_archive_has_no_problem(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.mp4", list(range(60)), SPEECH_IN)
    assert archive.frames == frozenset(range(60))
    assert archive.duration_ms == 2000
    assert archive.unreadable == 0
    assert archive.audio is not None
    assert archive.audio.level_dbfs == pytest.approx(-25, abs=8)
    assert archive.problems(60, FPS) == []


def test_missing_frames_are_named(tmp_path: Path) -> None:
    kept = [n for n in range(60) if n not in (10, 11, 12, 59)]
    problems = make(tmp_path / "a.mp4", kept, SPEECH_IN).problems(60, FPS)
    assert problems == ["4 of 60 sent frames are missing from the archive: 10-12, 59"]


def test_frame_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.mp4", [*range(30), *range(30)], SPEECH_IN)
    assert len(archive.frames) == 30
    assert archive.problems(30, FPS) == ["the archive lasts 2000 ms instead of 1000 ms"]


def test_silence_is_no_audio(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.mp4", list(range(30)), SILENCE_IN)
    assert not archive.has_sound
    assert "silent" in archive.problems(30, FPS)[0]


def test_missing_track_is_a_problem(tmp_path: Path) -> None:
    assert make(tmp_path / "a.mp4", list(range(30)), []).problems(30, FPS) == [
        "the archive has no audio track"
    ]


def test_audio_that_breaks_off_is_a_problem() -> None:
    archive = Archive(frozenset(range(90)), 0, 3000, Audio(1500, -20.0))
    assert archive.problems(90, FPS) == ["the archive has 1500 ms of audio for 3000 ms"]


def test_file_that_is_no_movie_is_a_demo_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"<Error>NoSuchKey</Error>")
    with pytest.raises(DemoError, match="does not decode"):
        inspect(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([1, 2, 3, 7], "1-3, 7"),
        ([0, 2, 4, 6, 8, 10], "0, 2, 4, 6, 8 and 1 more"),
    ],
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text
