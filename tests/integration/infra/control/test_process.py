"""`python -m infra` as a process: starts, says when it is ready, survives outages, stops."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from infra.events.bus import connect
from infra.events.desired_bus import DesiredBus
from infra.events.facts import FactType, MediaFact
from infra.events.facts_bus import FactWriter
from tests.support.plain_http import NO_TLS
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer, free_port

pytestmark = pytest.mark.integration
KEY = "lp_process_key_of_the_tests"
ROOT = Path(__file__).parents[4]


class Control:
    """One control process."""

    def __init__(self, folder: Path, database_url: str, bus_url: str, **settings: str) -> None:
        key_file = folder / "api-key"
        key_file.write_text(KEY + "\n")
        self.port = free_port()
        self.log = folder / "control.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")}
        self._environment = environment | {
            "LIVEPATH_DATABASE_URL": database_url,
            "LIVEPATH_BUS_URL": bus_url,
            "LIVEPATH_CONTROL_PORT": str(self.port),
            "LIVEPATH_BOOTSTRAP_API_KEY_FILE": str(key_file),
            **{f"LIVEPATH_{name.upper()}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "infra"],
                cwd=ROOT,
                env=self._environment,
                stderr=log,
            )

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
            verify=NO_TLS,
            timeout=30,
        )

    async def readiness(self, wanted: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until `/readyz` answers (status, checks) that fit."""
        deadline = time.monotonic() + 60
        seen: Any = None
        async with self.client() as client:
            while time.monotonic() < deadline:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()
                try:
                    response = await client.get("/readyz")
                except httpx2.TransportError:
                    pass
                else:
                    seen = response.json()["checks"]
                    if wanted(response.status_code, seen):
                        return dict(seen)
                await asyncio.sleep(0.05)
        raise AssertionError(f"last seen: {seen}; {self.log.read_text()}")

    async def ready(self) -> None:
        await self.readiness(lambda status, _checks: status == 200)

    async def terminate(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 30)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def control(tmp_path: Path, database_url: str, valkey: ValkeyServer) -> Iterator[Control]:
    made = Control(tmp_path, database_url, valkey.url)
    yield made
    made.kill()


async def test_it_starts_works_and_stops(control: Control, valkey: ValkeyServer) -> None:
    control.start()
    await control.ready()
    async with control.client() as client, FactWriter(valkey.url) as media:
        event = (await client.post("/v1/events", json={"name": "x"})).json()["id"]
        live = MediaFact(
            id="n-1-1",
            type=FactType.PROGRAM_LIVE,
            node="n",
            at_ns=time.time_ns(),
            project="default",
            event=event,
        )
        await media.send([live])
        deadline = time.monotonic() + 30
        while (await client.get(f"/v1/events/{event}")).json()["state"] != "live":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        bus_client = connect(valkey.url)
        while f"event:{event}" not in await DesiredBus(bus_client).held():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await bus_client.aclose()
        page = await client.get(f"/watch/{event}")
        assert page.status_code == 200
        assert "text/html" in page.headers["Content-Type"]
    assert await control.terminate() == 0
    assert "Traceback" not in control.log.read_text()


async def test_a_second_start_keeps_key_events_and_secret(control: Control) -> None:
    control.start()
    await control.ready()
    async with control.client() as client:
        event = (await client.post("/v1/events", json={"name": "x"})).json()
    control.kill()
    control.start()
    await control.ready()
    async with control.client() as client:
        assert (await client.get(f"/v1/events/{event['id']}")).json() == event
    assert await control.terminate() == 0


async def test_without_bus_it_answers_and_says_that_it_is_not_ready(
    tmp_path: Path, control: Control, valkey: ValkeyServer
) -> None:
    valkey.stop()
    control.start()
    await control.readiness(lambda status, checks: status == 503 and checks["bus"] != "ok")
    async with control.client() as client:
        assert (await client.post("/v1/events", json={"name": "x"})).status_code == 201
    valkey.start()
    await control.ready()
    assert await control.terminate() == 0


async def test_an_outage_of_the_database_is_503_and_passes(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with PostgresServer() as postgres:
        control = Control(tmp_path, postgres.create_database(), valkey.url)
        try:
            control.start()
            await control.ready()
            async with control.client() as client:
                event = (await client.post("/v1/events", json={"name": "x"})).json()
                postgres.stop()
                for _ in range(3):
                    response = await client.get(f"/v1/events/{event['id']}")
                    assert response.status_code == 503, response.text
                    assert response.json()["fix"]
                refused = await client.post("/v1/events", json={"name": "y"})
                assert refused.status_code == 503
                checks = await control.readiness(
                    lambda _status, checks: checks["database"] != "ok" != checks["desired"]
                )
                assert "database" in checks
                postgres.start()
                await control.ready()
                assert (await client.get(f"/v1/events/{event['id']}")).json() == event
                assert (await client.post("/v1/events", json={"name": "y"})).status_code == 201
            assert await control.terminate() == 0
        finally:
            control.kill()


class _Role(BaseHTTPRequestHandler):
    answer: tuple[int, dict[str, Any]] = (200, {"ready": True, "checks": {}})

    def do_GET(self) -> None:
        status, body = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Tests stay quiet."""


async def test_it_is_ready_only_when_every_role_is(tmp_path: Path, valkey: ValkeyServer) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Role)
    Thread(target=server.serve_forever, daemon=True).start()
    urls = json.dumps({"media": f"http://127.0.0.1:{server.server_address[1]}/readyz"})
    database = f"sqlite:///{tmp_path}/livepath.db"
    control = Control(tmp_path, database, valkey.url, ready_urls=urls)
    try:
        control.start()
        await control.ready()
        _Role.answer = (503, {"ready": False, "checks": {"srt": "port taken", "bus": "ok"}})
        checks = await control.readiness(lambda status, _: status == 503)
        assert checks["media"] == "srt: port taken"
        _Role.answer = (200, {})
        await control.ready()
        server.shutdown()
        server.server_close()
        checks = await control.readiness(lambda status, _: status == 503)
        assert "does not answer" in checks["media"]
    finally:
        control.kill()
        _Role.answer = (200, {})


def test_a_bad_setting_is_one_line_and_exit_2(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")}
    database = f"sqlite:///{tmp_path}/x.db"
    given = {"DATABASE_URL": database, "BUS_URL": "http://x", "LOG_LEVEL": "error"}
    done = subprocess.run(
        [sys.executable, "-m", "infra"],
        cwd=ROOT,
        env=environment | {f"LIVEPATH_{name}": value for name, value in given.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "redis://host" in line


def test_a_taken_port_is_one_line_and_exit_1(tmp_path: Path, valkey: ValkeyServer) -> None:
    environment = os.environ | {
        "LIVEPATH_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "LIVEPATH_CONTROL_PORT": str(valkey.port),
        "LIVEPATH_BUS_URL": valkey.url,
        "LIVEPATH_LOG_LEVEL": "error",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Address already in use" in line


async def test_sigterm_during_start_is_no_error(control: Control) -> None:
    control.start()
    assert control.process is not None
    await control.readiness(lambda _status, _checks: True)
    control.process.send_signal(signal.SIGTERM)
    control.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(control.process.wait, 30) == 0
