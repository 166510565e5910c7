import os
import signal
import subprocess
import sys
from pathlib import Path

from coldpath.scratch import Scratch

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from coldpath.scratch import Scratch
with Scratch(Path(sys.argv[1]), "killed") as scratch:
    (scratch.folder / "archive.mp4").write_bytes(b"x" * 1000)
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_there_while_the_worker_runs(tmp_path: Path) -> None:
    with Scratch(tmp_path, "w1") as scratch:
        (scratch.folder / "file").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_folders_of_live_workers_stay_and_of_killed_ones_go(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with Scratch(tmp_path, "w1"):
        assert (tmp_path / "killed" / "archive.mp4").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with Scratch(tmp_path, "w2"):
        assert [folder.name for folder in tmp_path.iterdir()] == ["w2"]
