import os
import signal
import subprocess
import sys
from pathlib import Path

from coldpath.scratch import Scratch, folder_of, remove_of_dead

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from coldpath.scratch import Scratch, folder_of, remove_of_dead
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


def test_what_a_killed_process_of_the_pool_left_goes_before_the_worker_ends(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-S", "-c", ""])
    dead.wait()
    left = tmp_path / f"{dead.pid}.job_a.x1"
    left.mkdir()
    (left / "archive.mp4").write_bytes(b"x" * 1000)
    (tmp_path / ".lock").touch()
    with folder_of("job_b", tmp_path) as own:
        remove_of_dead(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {".lock", own.name}
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
