"""`livepath up` as a user runs it: the whole stack as one foreground process."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from infra.supervisor.endpoints import Endpoints, read_endpoints
from tests.support.processes import alive, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-c", "from infra.cli import main; main()", "up", "--port-base", "0"]
START_S = 120.0
ROLES = {
    *("valkey-broker", "valkey-bus", "s3", "control"),
    *("media", "uploader", "dispatcher", "worker", "transcriber"),
}


class Up:
    """A running `livepath up` with its standard output on a pipe or a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, data: Path) -> None:
        self.process = process
        self.data = data
        self.seen = ""
        self._output = output

    def read_until(self, text: str) -> None:
        """Collect output until `text` was seen."""
        deadline = time.monotonic() + START_S
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"never printed {text!r}:\n{self.seen}"
            if select.select([self._output], [], [], left)[0]:
                try:
                    chunk = os.read(self._output, 65_536)
                except OSError:  # a terminal whose other side is closed
                    chunk = b""
                assert chunk, f"ended without printing {text!r}:\n{self.seen}"
                self.seen += chunk.decode(errors="replace")

    def drain(self) -> None:
        """Collect output until the command has ended."""
        try:
            while chunk := os.read(self._output, 65_536):
                self.seen += chunk.decode(errors="replace")
        except OSError:  # what reading a terminal gives whose other side is closed
            return

    @property
    def endpoints(self) -> Endpoints:
        return read_endpoints(self.data)

    def descendants(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Up]:
    ours, theirs = pty.openpty() if request.param == "terminal" else os.pipe()
    data = tmp_path / "data"
    with subprocess.Popen(
        [*COMMAND, "--data-dir", str(data)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160", "TERM": "xterm", "LIVEPATH_CAPTIONS": "on"},
    ) as process:
        os.close(theirs)
        running = Up(process, ours, data)
        try:
            running.read_until("# 3. watch it")
            yield running
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.parametrize("up", ["terminal"], indirect=True)
async def test_it_serves_shows_and_stops_in_order(up: Up) -> None:
    endpoints = up.endpoints
    assert set(endpoints.roles) == ROLES
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{endpoints.control_url}/readyz")
        assert answer.status_code == 200, answer.text
        key = Path(endpoints.api_key_file).read_text()
        created = await client.post(
            f"{endpoints.control_url}/v1/events",
            headers={"Authorization": f"Bearer {key}"},
            json={"name": "First"},
        )
        assert created.status_code == 201, created.text
        assert created.json()["ingest"]["srt"]["url"].startswith(endpoints.srt_url)
    descendants = up.descendants()
    up.process.send_signal(signal.SIGINT)
    up.drain()
    assert up.process.wait() == 0
    assert not any(alive(pid) for pid in descendants)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", up.seen)
    for role in ROLES:
        assert role in plain


@pytest.mark.parametrize("up", ["pipe"], indirect=True)
async def test_nothing_outlives_it_when_it_is_killed(up: Up) -> None:
    assert "\x1b" not in up.seen, "plain lines where there is no terminal"
    descendants = up.descendants()
    assert len(descendants) >= 2 * len(ROLES)
    up.process.kill()
    await until("all are gone", lambda: not any(alive(pid) for pid in descendants))
