"""Real SDP offers (`tests/support/sdp`), as the named peer sent them, and how they are bent.

Captured from Chromium, Firefox ESR (without its OpenH264 plugin), aiortc, ffmpeg's WHIP muxer and
libdatachannel set up as OBS does; those of GStreamer and Safari are written after their formats.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "sdp"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.sdp")))


def offer(name: str) -> str:
    return (FOLDER / f"{name}.sdp").read_bytes().decode()


def without(text: str, start: str) -> str:
    """The text without the lines that start so."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\r\n".join(line for line in lines if not line.startswith(start))
