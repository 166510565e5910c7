"""The lines that `livepath up` prints: make an event, publish to it, watch it, look after it."""

import shlex
import shutil

from infra.supervisor.endpoints import Endpoints


def ffmpeg_command() -> str:
    """An ffmpeg with SRT: the packaged one, unless it is missing."""
    try:
        import imageio_ffmpeg

        packaged: str = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return shutil.which("ffmpeg") or "ffmpeg"
    return packaged


def paste_lines(endpoints: Endpoints, ffmpeg: str) -> str:
    """Three steps for a POSIX shell; each is one command."""
    key_file = shlex.quote(endpoints.api_key_file)
    events = f"{endpoints.control_url}/v1/events"
    if endpoints.certificate_file is not None:
        events = f"--cacert {shlex.quote(endpoints.certificate_file)} {events}"
    return "\n".join(
        [
            "# 1. make an event",
            f'curl -sS {events} -H "Authorization: Bearer $(cat {key_file})" \\',
            "  -H 'Content-Type: application/json' -d '{\"name\": \"First\"}' -o event.json",
            "# 2. publish a test picture to it (or paste the address into OBS)",
            "#    a second encoder, at ingest.srt.backup_url, goes on when this one fails",
            f"SRT=$({_read('ingest', 'srt', 'url')})",
            f"{shlex.quote(ffmpeg)} -re -f lavfi -i testsrc2=size=1280x720:rate=30 \\",
            "  -f lavfi -i sine=frequency=440:sample_rate=48000 -c:v libx264 -preset veryfast \\",
            '  -tune zerolatency -pix_fmt yuv420p -g 60 -c:a aac -f mpegts "$SRT"',
            "# 3. watch it in a browser, at the address that this prints",
            _read("playback", "player_url"),
            f"# look after it, with the key in {key_file}: {endpoints.control_url}/operator",
        ]
    )


def _read(*path: str) -> str:
    """A shell command that prints one value of the event's JSON."""
    keys = "".join(f'["{key}"]' for key in path)
    return f"python3 -c 'import json; print(json.load(open(\"event.json\")){keys})'"
