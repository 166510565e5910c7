"""Debian's Janus with one RTP mountpoint that hands the same H.264 and Opus to its viewers.

    apt-get install janus

Started with a configuration of its own on free ports and fed by ffmpeg, which copies the stamped
programme in real time. Janus never offers loopback, so its media goes over another of the machine's
own addresses, which Linux handles alike. Viewers use `benchmarks.signalling.janus`.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from benchmarks.peer import own_address
from benchmarks.signalling import request
from benchmarks.stamped import Recipe, programme

MOUNTPOINT = 1
# Plugins and transports that a streaming server has no use for, so that its memory is its own.
_MODULES = Path("/usr/lib/x86_64-linux-gnu/janus")


class JanusMissing(Exception):
    """There is no Janus here; install Debian's `janus`."""


@dataclass(frozen=True, slots=True)
class Janus:
    url: str
    pid: int
    host: str
    """The address from which viewers reach it."""


@contextmanager
def janus_server(cores: Sequence[int] = ()) -> Iterator[Janus]:
    if shutil.which("janus") is None:
        raise JanusMissing(JanusMissing.__doc__)
    http, video, audio, low = _free_ports(3)
    with tempfile.TemporaryDirectory(prefix="janus-") as folder:
        _configure(Path(folder), http, video, audio, low)
        pin = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
        server = subprocess.Popen(
            [*pin, "janus", "-F", folder, "--disable-colors", "-d", "3"],
            stdin=subprocess.DEVNULL,
            stdout=(Path(folder) / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        feeder = subprocess.Popen(
            _feeding(programme(Recipe(audio="libopus")), video, audio),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{http}/janus"
            _until_up(url, server, Path(folder) / "log")
            yield Janus(f"{url}#{MOUNTPOINT}", server.pid, own_address())
        finally:
            for process in (feeder, server):
                process.kill()
                process.wait()


def _free_ports(count: int) -> list[int]:
    """`count` single ports, and the first of a range for media."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [*(int(one.getsockname()[1]) for one in held), 20_000]
    finally:
        for one in held:
            one.close()


def _feeding(path: Path, video: int, audio: int) -> list[str]:
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-stream_loop", "-1"),
        *("-i", str(path), "-map", "0:v", "-c", "copy", "-payload_type", "96", "-f", "rtp"),
        f"rtp://127.0.0.1:{video}?pkt_size=1200",
        *("-map", "0:a", "-c", "copy", "-payload_type", "111", "-f", "rtp"),
        f"rtp://127.0.0.1:{audio}",
    ]


def _configure(folder: Path, http: int, video: int, audio: int, low: int) -> None:
    for kind, kept in (("plugins", "streaming"), ("transports", "http")):
        (folder / kind).mkdir()
        for library in (_MODULES / kind).glob(f"libjanus_{kept}.so*"):
            (folder / kind / library.name).symlink_to(library)
    (folder / "janus.jcfg").write_text(
        f"""general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}"
  loggers_folder = "{folder}"
  debug_level = 3
  interface = "127.0.0.1"
}}
media: {{ rtp_port_range = "{low}-60000" }}
nat: {{ ice_consent_freshness = false }}
"""
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{ json = "compact"  base_path = "/janus"  http = true  port = {http}\n'
        '  ip = "127.0.0.1" }\nadmin: { admin_http = false }\n'
    )
    profile = "profile-level-id=42e01f;packetization-mode=1"
    (folder / "janus.plugin.streaming.jcfg").write_text(
        f"""bench: {{
  type = "rtp"
  id = {MOUNTPOINT}
  media = (
    {{ type = "video" mid = "v" label = "video" port = {video} pt = 96 codec = "h264"
       fmtp = "{profile}" }},
    {{ type = "audio" mid = "a" label = "audio" port = {audio} pt = 111 codec = "opus" }}
  )
}}
"""
    )


def _until_up(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            if request("GET", f"{url}/info")[0] == 200:
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Janus did not start:\n{log.read_text()[-2000:]}") from None
        time.sleep(0.1)
