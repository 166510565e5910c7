"""A media process that is killed loses no part that its spool had taken."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hotpath.hls.spool_recovery import recover
from tests.support.spool import (
    PARTS,
    folder,
    holes,
    manifest,
    msns,
    part_bytes,
    rendition,
    segment_bytes,
)
from tests.support.spool_stuck_child import SEGMENTS

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", range(4))
def test_every_part_taken_before_kill_9_comes_back(tmp_path: Path, seed: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.spool_child", str(tmp_path), "m1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.05, 1.0))
    child.send_signal(signal.SIGKILL)
    taken = [line.split() for line in (first + child.stdout.read()).splitlines(keepends=True)
             if line.endswith("\n")]  # fmt: skip
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL

    (session,) = recover(tmp_path)
    found = manifest(tmp_path)
    content = {
        (entry.name, segment.msn): (
            folder(tmp_path).path / entry.name / f"s{segment.msn}.m4s"
        ).read_bytes()
        for entry in found.renditions
        for segment in entry.segments
    }
    assert len(taken) > 4
    for name, msn, part in taken:
        data = part_bytes(name, int(msn), int(part), size=20_000)
        assert content[name, int(msn)][int(part) * 20_000 :][:20_000] == data
    assert all(len(data) % 20_000 == 0 for data in content.values())
    assert [h for entry in found.renditions for h in entry.holes] == []
    assert session.segments == len(content)
    for name in ("video", "audio"):
        assert [s.msn for s in rendition(found, name).segments] == sorted(
            msn for kind, msn in content if kind == name
        )


def test_parts_do_not_wait_for_the_disk_to_sync_earlier_segments(tmp_path: Path) -> None:
    """The kill comes while nothing was synced since the session was opened."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.spool_stuck_child", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    taken = []
    for line in child.stdout:
        if line == "syncing\n":
            break
        taken.append(line)
    child.kill()
    child.stdout.close()
    # Had a part been kept waiting, the child would have given up by itself.
    assert child.wait() == -signal.SIGKILL

    (session,) = recover(tmp_path)
    found = manifest(tmp_path)
    assert session.parts == len(taken) == 2 * SEGMENTS * PARTS
    for name in ("video", "audio"):
        assert msns(found, name) == list(range(SEGMENTS))
        assert holes(found, name) == []
        media = folder(tmp_path).path / name
        assert (media / "init-0.mp4").read_bytes() == f"init of {name}".encode()
        for msn in range(SEGMENTS):
            content = (media / f"s{msn}.m4s").read_bytes()
            assert content == segment_bytes(name, msn, size=20_000)


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    for incarnation in ("m1", "m2"):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.spool_child", str(tmp_path), incarnation],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline().startswith("video 0 0")
        child.kill()
        child.stdout.close()
        child.wait()
        (session,) = recover(tmp_path)
        assert session.incarnation == incarnation
