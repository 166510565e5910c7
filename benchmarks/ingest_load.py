"""Media for an ingest under measurement, and the encoder that sends it over encrypted SRT."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from hotpath.ingest.admission import AdmissionEntry

MESSAGE = 1316
ENTRY = AdmissionEntry(
    project="bench",
    event="ev_bench",
    feed="main",
    key="k1.1.benchmark",
    generation=1,
    kid="k1",
    passphrase="benchmark-passphrase",
    whip_token="k1.1.benchmark-token",
    open=True,
    takeover=True,
)


@dataclass(frozen=True)
class Load:
    name: str
    size: str
    kbps: int


LOADS = (Load("3 Mbit/s 720p30", "1280x720", 3000), Load("20 Mbit/s 1080p30", "1920x1080", 20_000))


def make_media(load: Load, seconds: float, folder: Path) -> Path:
    """Constant bitrate, so that the load is what its name says; noise keeps the encoder busy."""
    path = folder / f"{load.kbps}.ts"
    picture = f"testsrc2=size={load.size}:rate=30:duration={seconds},noise=alls=20:allf=t"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", f"sine=sample_rate=48000:duration={seconds}", "-ac", "2"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60"]
    command += ["-pix_fmt", "yuv420p", "-x264-params", "nal-hrd=cbr:force-cfr=1"]
    rate = f"{load.kbps}k"
    command += ["-b:v", rate, "-maxrate", rate, "-minrate", rate, "-bufsize", rate]
    command += ["-c:a", "aac", "-b:a", "128k", "-f", "mpegts", str(path)]
    subprocess.run(command, check=True)
    return path


@contextmanager
def sending(path: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    url = f"srt://127.0.0.1:{port}?streamid={ENTRY.event}/{ENTRY.key}"
    url += f"&passphrase={ENTRY.passphrase}&latency=120000&pkt_size={MESSAGE}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-i", str(path)]
    process = subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", url])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
