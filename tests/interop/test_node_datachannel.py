"""libdatachannel, which is what OBS publishes WHIP with, through its npm package."""

import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.stamped import Recipe, programme
from hotpath.media.unit import Unit
from infra.errors import ConfigurationError
from infra.web.build import npm_command
from tests.support.media import units_of
from tests.support.missing import missing
from tests.support.webrtc import SMALL, Node, most_seen, watching

HERE = Path(__file__).parent / "node_datachannel"
OPUS = Recipe(SMALL.size, kbps=SMALL.kbps, seconds=SMALL.seconds, audio="libopus")
AUDIO, VIDEO = 0, 1


@pytest.fixture(scope="session")
def publisher_script() -> Path:
    """publish.mjs beside its installed library, which brings a binary for most platforms."""
    folder = Path(tempfile.gettempdir()) / "livepath-node-datachannel"
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "publish.mjs"):
        shutil.copy(HERE / name, folder / name)
    if not (folder / "node_modules" / "node-datachannel").exists():
        try:
            command = [*npm_command(), "ci", "--ignore-scripts", "--no-progress"]
        except ConfigurationError:
            pytest.skip(missing("npm"))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"node-datachannel cannot be installed: {done.stderr.strip()[-300:]}")
    return folder / "publish.mjs"


def node_command() -> str:
    """The Node.js beside npm."""
    return shutil.which("node") or npm_command()[0]


@contextmanager
def publishing(script: Path, node: Node) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [node_command(), str(script), node.whip_url, node.whip_token],
        stdin=subprocess.PIPE,
    )
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(process, stop), daemon=True)
    feeder.start()
    try:
        yield process
    finally:
        stop.set()
        feeder.join()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.wait()


def _feed(process: "subprocess.Popen[bytes]", stop: threading.Event) -> None:
    """Access units at their pace, with RTP timestamps, until told to stop."""
    assert process.stdin is not None
    units, offset = units_of(programme(OPUS)), 0
    period = OPUS.seconds * 90_000
    started = time.monotonic()
    while True:
        for unit in units:
            ticks = unit.dts - units[0].dts + offset
            if stop.wait(max(0.0, started + ticks / 90_000 - time.monotonic())):
                return
            try:
                process.stdin.write(_record(unit, ticks))
                process.stdin.flush()
            except BrokenPipeError:
                return
        offset += period


def _record(unit: Unit, ticks: int) -> bytes:
    kind = VIDEO if unit.track == "video" else AUDIO
    timestamp = ticks if kind == VIDEO else ticks * 48 // 90
    return struct.pack("!BII", kind, timestamp & 0xFFFFFFFF, len(unit.data)) + unit.data


def test_what_obs_would_send_reaches_ll_hls_and_whep(idle: Node, publisher_script: Path) -> None:
    with publishing(publisher_script, idle) as process:
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
    assert process.returncode == 0
