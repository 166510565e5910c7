"""Small real role processes for tests of the supervisor.

Run as a script: serves `/healthz` and `/readyz` on a port and behaves as its flags say.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.telemetry.ops import Check, OpsServer

if TYPE_CHECKING:
    from infra.supervisor.roles import Role

ROOT = Path(__file__).resolve().parents[2]


def small_role(
    name: str,
    port: int,
    folder: Path,
    *flags: str,
    needs: tuple[str, ...] = (),
    outlives: tuple[str, ...] = (),
    stop_grace_s: float = 3.0,
) -> "Role":
    """A role that notes `name started|stopped` in `folder/journal` and runs this file."""
    # Not at the top: the script starts faster without the supervisor's imports.
    from infra.supervisor.probe import HttpProbe
    from infra.supervisor.roles import Role

    url = f"http://127.0.0.1:{port}"
    return Role(
        name,
        (sys.executable, "-P", str(Path(__file__)), name, str(port), str(folder), *flags),
        {**os.environ, "PYTHONPATH": str(ROOT)},
        alive=HttpProbe(f"{url}/readyz"),
        ready=HttpProbe(f"{url}/readyz"),
        url=url,
        needs=needs,
        outlives=outlives,
        stop_grace_s=stop_grace_s,
    )


def _note(folder: Path, line: str) -> None:
    with (folder / "journal").open("a") as journal:
        journal.write(line + "\n")


def _spawn_grandchildren(folder: Path) -> None:
    """One in the role's process group, one in a session of its own that lost its parent."""
    sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    direct = subprocess.Popen(sleeper)
    middle = (
        "import subprocess, sys;"
        f"print(subprocess.Popen({sleeper!r}, start_new_session=True, stdout=-3, stderr=-3).pid)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", middle], capture_output=True, check=True)
    temporary = folder / "grandchildren.part"
    temporary.write_text(f"{direct.pid} {int(done.stdout)}")
    temporary.rename(folder / "grandchildren")


def _serve(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    checks: dict[str, Check] = {}
    if arguments.not_ready:
        checks["bus"] = lambda: "gone"
    server = OpsServer("127.0.0.1", arguments.port, checks)
    server.start()
    _note(folder, f"{arguments.name} started")
    if arguments.grandchildren:
        _spawn_grandchildren(folder)
    signal.sigwait({signal.SIGTERM})
    if arguments.stubborn:
        time.sleep(600)
    server.stop()
    _note(folder, f"{arguments.name} stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--exit", type=int)
    parser.add_argument("--not-ready", action="store_true")
    parser.add_argument("--grandchildren", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if options.exit is not None:
        sys.stderr.write(f"{options.name}: port 1 cannot be used\n")
        sys.exit(options.exit)
    _serve(options)
