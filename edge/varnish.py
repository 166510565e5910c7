"""Varnish with `livepath.vcl`, as a child process in a folder of its own; no root is needed.

Invariant: inside the block the edge answers on `url`; after it process and folder are gone. The
secret lies in a file that only this user can read, never on a command line. Upstream: viewers.
Downstream: the origin.
"""

import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HERE = Path(__file__).parent
START_S = 20.0
POLL_S = 0.05
STOP_S = 5.0
# Varnish's log in shared memory would hold tokens and the secret, and takes time on every hit.
UNLOGGED = (
    *("ReqURL", "ReqHeader", "ReqUnset", "RespHeader", "RespUnset"),
    *("BereqURL", "BereqHeader", "BereqUnset", "BerespHeader", "BerespUnset"),
    *("VCL_call", "VCL_return", "Timestamp"),
)
PARAMETERS = {
    "default_grace": "0",
    "default_keep": "0",
    "timeout_idle": "60",
    "thread_pool_min": "50",
    "vsl_mask": ",".join(f"-{tag}" for tag in UNLOGGED),
}

ORIGIN_VCL = """\
backend origin {{
    .host = "{host}";
    .port = "{port}";
    .connect_timeout = 2s;
    # A blocked reload is answered within three target durations.
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 10s;
}}

sub prove_edge {{
    set bereq.http.X-Livepath-Edge = "{secret}";
}}
"""


class EdgeError(RuntimeError):
    """The edge cannot run; the message says why and what helps."""


class VarnishMissing(EdgeError):
    """There is no Varnish on this machine."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The media port behind the edge."""

    url: str
    secret: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or parts.hostname is None:
            raise EdgeError(
                f"{self.url}: Varnish speaks plain HTTP to the origin: http://HOST:PORT"
            )
        return parts.hostname, parts.port or 80


def program(name: str) -> str:
    """Debian keeps the daemon where a user's PATH may not look."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise VarnishMissing(f"{name} is not here; on Debian: apt-get install varnish")
    return found


# By default a busy worker keeps its counts back for a while; to add each up takes a lock, and with
# 2,000 requests a second two thirds of Varnish's time.
EXACT = {"thread_stats_rate": "0"}


class Varnish:
    """One edge; see the module for the invariant.

    `port` 0 takes a free one. `exact`: counters hold what has happened, at any cost. `vcl`: another
    configuration, which includes `origin.vcl` (a backend and `prove_edge`).
    """

    def __init__(
        self,
        origin: Origin,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        memory_mb: int = 256,
        exact: bool = False,
        vcl: Path = HERE / "livepath.vcl",
    ) -> None:
        self._origin = origin
        self._vcl = vcl
        self._parameters = PARAMETERS | (EXACT if exact else {})
        self._listen = f"{host}:{port}"
        self._memory_mb = memory_mb
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """The managing process; the one that serves is its child."""
        return self._running().pid

    def __enter__(self) -> Self:
        daemon, admin = program("varnishd"), program("varnishadm")
        self._folder = tempfile.TemporaryDirectory(prefix="livepath-edge-")
        folder = Path(self._folder.name)
        try:
            self._process = self._start(daemon, folder)
            self.url = f"http://{self._until_serving(admin, folder)}"
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def wait(self) -> int:
        """Until the process ends by itself; its status."""
        return self._running().wait()

    def forget(self) -> None:
        """Everything cached; the next request for anything goes to the origin."""
        if self._folder is None:
            raise EdgeError("the edge does not run")
        _ask(program("varnishadm"), Path(self._folder.name), "ban", "obj.status", "!=", "0")

    def counter(self, name: str) -> int:
        """One of varnishstat's, such as `MAIN.busy_sleep`; 0 before it exists."""
        if self._folder is None:
            raise EdgeError("the edge does not run")
        done = subprocess.run(
            [program("varnishstat"), "-n", f"{self._folder.name}/work", "-1", "-f", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return int(done.stdout.split()[1]) if done.returncode == 0 and done.stdout else 0

    def log(self) -> str:
        """What the daemon has said so far."""
        if self._folder is None:
            return ""
        return (Path(self._folder.name) / "log").read_text(errors="replace")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise EdgeError("the edge does not run")
        return self._process

    def _start(self, daemon: str, folder: Path) -> "subprocess.Popen[bytes]":
        host, port = self._origin.address
        (folder / "origin.vcl").write_text(
            ORIGIN_VCL.format(host=host, port=port, secret=self._origin.secret)
        )
        parameters = self._parameters | {"vcl_path": str(folder)}
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [
                    *(daemon, "-F", "-j", "none", "-n", str(folder / "work")),
                    *("-a", self._listen, "-f", str(self._vcl)),
                    *("-s", f"malloc,{self._memory_mb}M"),
                    *(word for pair in parameters.items() for word in ("-p", "=".join(pair))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _until_serving(self, admin: str, folder: Path) -> str:
        """The address it listens on."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._running().poll() is not None:
                raise EdgeError(f"varnishd ended at once:\n{self.log()}")
            if "running" in _ask(admin, folder, "status"):
                return _address(_ask(admin, folder, "debug.listen_address"))
            time.sleep(POLL_S)
        raise EdgeError(f"varnishd does not serve after {START_S:g} s:\n{self.log()}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _ask(admin: str, folder: Path, *command: str) -> str:
    """The answer of the daemon's own console; nothing while it has none."""
    done = subprocess.run(
        [admin, "-n", str(folder / "work"), "-t", "2", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def _address(listening: str) -> str:
    """HOST:PORT out of `a0 HOST PORT`."""
    words = listening.split()
    if len(words) < 3:
        raise EdgeError(f"varnishd does not say where it listens: {listening!r}")
    host = f"[{words[1]}]" if ":" in words[1] else words[1]
    return f"{host}:{words[2]}"
