"""coturn on a free port of loopback, with time-limited credentials."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECRET = "a secret that the node and its TURN server share"
START_S = 10.0


@dataclass(frozen=True)
class Turn:
    url: str
    log: Path

    @property
    def allocations(self) -> int:
        """How many there were so far."""
        return self.log.read_text(errors="replace").count("ALLOCATE processed, success")


def available() -> bool:
    return shutil.which("turnserver") is not None


@contextmanager
def turn_server() -> Iterator[Turn]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="coturn-") as name:
        folder = Path(name)
        log = folder / "log"
        process = subprocess.Popen(
            [
                *("turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--fingerprint"),
                *("--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=test"),
                *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers"),
                *(f"--listening-port={port}", f"--pidfile={folder / 'pid'}", "--verbose"),
                *("--simple-log", f"--log-file={log}", f"--userdb={folder / 'db'}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_bound(port, process)
            yield Turn(f"turn:127.0.0.1:{port}?transport=udp", log)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_bound(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while f":{port:04X} " not in Path("/proc/net/udp").read_text():
        assert process.poll() is None, f"coturn ended with status {process.returncode}"
        assert time.monotonic() < deadline, "coturn did not listen in time"
        time.sleep(0.02)
