"""The barcode clock: round trips, coding, scaling, damage."""

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo import barcode
from infra.demo.barcode import Stamp
from infra.demo.decoding import luma
from infra.demo.programme import Programme

stamps = st.builds(
    Stamp,
    unix_ms=st.integers(0, (1 << barcode.CLOCK_BITS) - 1),
    index=st.integers(0, (1 << barcode.INDEX_BITS) - 1),
)


@given(stamps, st.sampled_from([(1280, 720), (960, 540), (426, 240), (1920, 1080), (333, 187)]))
def test_reads_what_was_drawn_at_any_size(stamp: Stamp, size: tuple[int, int]) -> None:
    width, height = size
    plane = np.full((height, width), 90, dtype=np.uint8)
    barcode.draw(plane, stamp)
    assert barcode.read(plane) == stamp


@given(stamps, st.integers(0, barcode.BITS - 1))
def test_one_wrong_bit_is_never_another_stamp(stamp: Stamp, bit: int) -> None:
    assert barcode.decode(barcode.encode(stamp) ^ 1 << bit) is None


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_flat_picture_has_no_stamp(level: int) -> None:
    assert barcode.read(np.full((720, 1280), level, dtype=np.uint8)) is None


def test_noise_has_no_stamp() -> None:
    noise = np.random.default_rng(7)
    for _ in range(50):
        assert barcode.read(noise.integers(0, 256, (360, 640), dtype=np.uint8)) is None


def test_low_contrast_and_noise_are_read() -> None:
    plane = np.full((720, 1280), 90, dtype=np.uint8)
    barcode.draw(plane, Stamp(1_795_000_000_123, 42))
    noise = np.random.default_rng(1).normal(0, 12, plane.shape)
    damaged = np.clip(plane * 0.35 + 60 + noise, 0, 255).astype(np.uint8)
    assert barcode.read(damaged) == Stamp(1_795_000_000_123, 42)


@pytest.mark.parametrize("size", [(50, 20), (131, 100), (640, 3)])
def test_picture_too_small_for_the_code_is_no_error(size: tuple[int, int]) -> None:
    assert barcode.read(np.zeros((size[1], size[0]), dtype=np.uint8)) is None


@pytest.mark.parametrize("stamp", [Stamp(-1, 0), Stamp(1 << 44, 0), Stamp(0, 1 << 24)])
def test_stamp_out_of_range_is_refused(stamp: Stamp) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        barcode.encode(stamp)


@pytest.mark.parametrize(
    ("bitrate", "scale"), [("2000k", None), ("300k", None), ("800k", "640:360")]
)
def test_every_frame_survives_x264(tmp_path: Path, bitrate: str, scale: str | None) -> None:
    """At the demo's rate, at a starved one, and scaled down as a rendition would be."""
    programme = Programme(1280, 720, 30)
    sent = [Stamp(1_795_000_000_000 + n * 33, n) for n in range(45)]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "30"]
    coding += ["-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate]
    coding += ["-vf", f"scale={scale}"] if scale else []
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "1280x720", "-r", "30", "-i", "-"]
    out = tmp_path / "coded.ts"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *coding, str(out)],
        input=b"".join(programme.frame(stamp.unix_ms, stamp.index) for stamp in sent),
        check=True,
    )
    with av.open(str(out)) as container:
        read = [barcode.read(luma(frame)) for frame in container.decode(video=0)]
    assert read == sent
