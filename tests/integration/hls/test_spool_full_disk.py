"""Recording over a really full disk: it stops, live goes on, and the hole is listed exactly."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.full_disk import Played, play

pytestmark = pytest.mark.integration


def check(played: Played) -> None:
    assert played.told == ["spool-full", "restored"]
    assert played.reasons == ["spool-full"]
    assert played.damaged == []
    missing = [msn for first, last in played.holes for msn in range(first, last + 1)]
    assert sorted(played.recorded + missing) == list(range(played.given))
    assert len(missing) >= 3
    assert played.recorded[:2] == [0, 1]
    assert played.recorded[-1] == played.given - 1
    assert played.stored == len(played.recorded)
    assert played.final


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts; the file-size limit test remains")
def test_a_full_file_system(small_disk: Path) -> None:
    ballast = small_disk / "ballast"

    def fill() -> None:
        with ballast.open("wb") as file:
            file.write(bytes(700_000))

    # The uploader alone frees the disk; the acknowledgements are noted once there is room.
    check(play(small_disk / "spool", fill, ballast.unlink))


def test_files_that_cannot_grow(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.full_disk", str(tmp_path / "spool")],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    check(Played(**json.loads(run.stdout.splitlines()[-1])))
