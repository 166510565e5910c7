"""Real SDP offers (`tests/support/sdp`), as the named peer sent them, and how they are bent.

Captured from Chromium, Firefox ESR, aiortc and ffmpeg's WHIP muxer; those of OBS (libdatachannel),
GStreamer and Safari are written after those programs' documented formats.
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
