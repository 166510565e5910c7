"""ffmpeg's own WHIP muxer: it offers to be the passive side of DTLS and knows NACK but no PLI."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from tests.support.media import ffmpeg
from tests.support.missing import missing
from tests.support.webrtc import Node, most_seen, watching

BRINGS_WHIP = (platform.system(), platform.machine()) == ("Linux", "x86_64")
"""The program that the locked imageio-ffmpeg brings; those for other machines were not tried."""


@cache
def has_whip() -> bool:
    muxers = subprocess.check_output([ffmpeg(), "-v", "error", "-muxers"], text=True)
    return " whip " in muxers


pytestmark = pytest.mark.skipif(
    not has_whip(), reason=missing("WHIP in this ffmpeg", installed=BRINGS_WHIP)
)


@contextmanager
def publishing(node: Node) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [
            *(ffmpeg(), "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"),
            *("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0"),
            *("-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "30", "-b:v", "800k"),
            *("-c:a", "libopus", "-ac", "2", "-b:a", "64k"),
            *("-authorization", node.whip_token, "-f", "whip", node.whip_url),
        ],
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def test_its_programme_reaches_ll_hls_and_whep_without_a_loss(idle: Node) -> None:
    with publishing(idle) as process:
        idle.until_on_air()
        idle.until_on_air("audio")
        with watching(idle.whep_url) as (viewers, viewer):
            assert most_seen(viewers, viewer, 3, 60) > 60
            assert viewer.probe is not None
            assert all(f.decodable_ns for f in viewer.probe.frames)
            assert viewer.probe.receiver.given_up == 0
            remote = viewer.peer.remote
            assert remote is not None
            codecs = {remote.codecs[s.payload_type] for s in viewers.counts(viewer)}
            assert codecs == {"h264", "opus"}
        assert process.poll() is None
