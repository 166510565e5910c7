"""The demo's encoder: an ffmpeg as a user would run it, fed frame by frame in real time.

Invariant: `frames_sent` frames, numbered from 0 without a hole, were handed to ffmpeg, each drawn
right before it was written. Upstream: `programme`. Downstream: the SRT URL, exactly as the API gave
it. A frame that is late is sent late, never left out, so the archive can be checked for every one.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from infra.demo.errors import EncoderFailed
from infra.demo.programme import Programme

SPEECH = Path(__file__).parent / "speech" / "speech.ogg"
VIDEO_BITRATE = "2500k"
PRESET = "ultrafast"
"""Encoder, players, renditions and captions share one machine, and the encoder is not on show."""
STOP_TIMEOUT_S = 5.0


def command(url: str, programme: Programme, preset: str, speech: Path = SPEECH) -> list[str]:
    """The ffmpeg command line: raw frames on stdin and looped speech, out as MPEG-TS to `url`."""
    fps = programme.fps
    video_in = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-framerate", str(fps)]
    video_in += ["-video_size", f"{programme.width}x{programme.height}", "-i", "pipe:0"]
    video = ["-c:v", "libx264", "-preset", preset, "-tune", "zerolatency"]
    video += ["-g", str(fps), "-keyint_min", str(fps), "-sc_threshold", "0"]
    video += ["-b:v", VIDEO_BITRATE, "-maxrate", VIDEO_BITRATE, "-bufsize", VIDEO_BITRATE]
    audio = ["-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"]
    # Without these two the muxer holds an access unit until the next one, and 180 ms of audio.
    mux = ["-f", "mpegts", "-flush_packets", "1", "-pes_payload_size", "0"]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(),
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *video_in,
        *("-stream_loop", "-1", "-i", str(speech), "-map", "0:v:0", "-map", "1:a:0"),
        *video,
        *audio,
        *mux,
        url,
    ]


class Encoder:
    """One ffmpeg process and the thread-safe count of what it was given. Use as `with`."""

    def __init__(self, url: str, programme: Programme, preset: str = PRESET) -> None:
        self._command = command(url, programme, preset)
        self._programme = programme
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.frames_sent = 0
        self.first_frame_unix_ms = 0

    def __enter__(self) -> "Encoder":
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()

    def publish(self, seconds: float, stop: Callable[[], bool]) -> None:
        """Write `seconds` of frames at their pace, or fewer when `stop()` says so; blocks.

        Raises `EncoderFailed` when ffmpeg goes away before the last frame.
        """
        period = 1_000_000_000 // self._programme.fps
        settling = self.frames_sent + self._programme.fps
        due = time.monotonic_ns()
        for index in range(self.frames_sent, self.frames_sent + round(seconds * 1e9 / period)):
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            if stop():
                return
            self._write(index)
            due += period
            # ffmpeg takes its first frames only once it is connected. A camera does not rush
            # afterwards to make up for that: the pace counts from there.
            if index < settling:
                due = max(due, time.monotonic_ns())

    def _write(self, index: int) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise EncoderFailed("the encoder was not started")
        unix_ms = time.time_ns() // 1_000_000
        try:
            process.stdin.write(self._programme.frame(unix_ms, index))
            process.stdin.flush()
        except BrokenPipeError:
            raise EncoderFailed(self._why()) from None
        self.frames_sent = index + 1
        self.first_frame_unix_ms = self.first_frame_unix_ms or unix_ms

    def stop(self) -> None:
        """End ffmpeg; it closes its SRT connection itself when it is given the time."""
        process = self._process
        if process is None:
            return
        process.terminate()
        # It looks at the signal between two frames, and would wait for the next one.
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _why(self) -> str:
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process is not None:
                process.wait(1.0)
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        return (
            f"ffmpeg stopped after {self.frames_sent} frames: {said[-1200:] or 'it said nothing'}"
        )
