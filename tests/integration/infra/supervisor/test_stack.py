"""The stack with its embedded servers, and what is left of it when the supervisor is killed."""

import http.server
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.storage.objects import ObjectStore
from infra.supervisor import Stack, StackError, StackOptions
from infra.supervisor.endpoints import read_endpoints
from tests.support.processes import alive, until
from tests.support.stack import running_stack

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[4]
VALKEYS = frozenset({"valkey-broker", "valkey-bus"})
SERVERS = VALKEYS | {"s3"}


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor process with the embedded servers, ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.parent", tmp_path / "data", *sorted(SERVERS)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


async def test_nothing_outlives_a_killed_supervisor_and_the_folder_can_be_used_again(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    descendants = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
    assert len(descendants) >= 2 * len(SERVERS), "a guard and a server each"
    parent.kill()
    # At once: the lock makes the second stack wait until the first one's servers are gone.
    async with running_stack(tmp_path / "data", only=VALKEYS):
        assert not any(alive(pid) for pid in descendants)


async def test_a_terminated_guard_takes_its_server_along_and_both_come_back(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    pid = read_endpoints(tmp_path / "data").roles["valkey-bus"].pid
    assert pid is not None
    os.kill(os.getsid(pid), signal.SIGKILL)

    def replaced() -> bool:
        now = read_endpoints(tmp_path / "data").roles["valkey-bus"].pid
        return now is not None and now != pid

    await until("endpoints.json has the new pid", replaced)
    assert not alive(pid)


async def test_two_stacks_run_side_by_side(tmp_path: Path) -> None:
    async with (
        running_stack(tmp_path / "one", only=SERVERS) as one,
        running_stack(tmp_path / "two", only=SERVERS) as two,
    ):
        for name, stack in (("one", one), ("two", two)):
            store = ObjectStore.from_url(stack.endpoints.s3_url)
            store.put("live/a", name.encode(), "text/plain")
        for name, stack in (("one", one), ("two", two)):
            store = ObjectStore.from_url(stack.endpoints.s3_url)
            assert store.get("live/a") == name.encode()


async def test_one_folder_takes_one_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.supervisor.folder.LOCK_WAIT_S", 0.1)
    async with running_stack(tmp_path, only=VALKEYS):
        second = Stack(StackOptions(data_dir=tmp_path, port_base=0, only=VALKEYS))
        with pytest.raises(StackError, match="another stack runs on"):
            await second.start()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    async with running_stack(tmp_path / "one", only=VALKEYS) as one:
        port = int(one.endpoints.broker_url.rpartition(":")[2].partition("/")[0])
        options = StackOptions(data_dir=tmp_path / "two", port_base=port - 6, only=VALKEYS)
        with pytest.raises(StackError, match=f"{port}.* is in use .*--port-base"):
            await Stack(options).start()


async def test_an_external_server_is_used_instead_of_an_embedded_one(tmp_path: Path) -> None:
    async with running_stack(tmp_path / "one", only=VALKEYS) as one:
        options = StackOptions(
            data_dir=tmp_path / "two",
            port_base=0,
            bus_url=one.endpoints.bus_url,
            only=VALKEYS,
        )
        async with Stack(options) as two:
            assert set(two.endpoints.roles) == {"valkey-broker"}
            assert two.endpoints.bus_url == one.endpoints.bus_url


async def test_secrets_stay_over_a_restart_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    async with running_stack(tmp_path, only=VALKEYS) as stack:
        key, s3_url = stack.api_key, stack.endpoints.s3_url.partition("?")[0]
    async with running_stack(tmp_path, only=VALKEYS) as stack:
        assert stack.api_key == key
        assert stack.endpoints.s3_url.partition("?")[0] == s3_url
    for name in ("api-key", "secrets.json", "endpoints.json"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, name


@pytest.fixture
def webhook() -> Iterator[tuple[int, "queue.Queue[tuple[str, str, dict[str, object]]]"]]:
    """An HTTP server that notes path, authorization and body of what is posted to it."""
    posted: queue.Queue[tuple[str, str, dict[str, object]]] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.put((self.path, self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], posted
    server.shutdown()
    server.server_close()
    thread.join()


async def test_the_object_store_tells_the_webhook_of_new_objects_with_its_token(
    tmp_path: Path,
    webhook: tuple[int, "queue.Queue[tuple[str, str, dict[str, object]]]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, posted = webhook
    monkeypatch.setattr("infra.supervisor.ports.PortPlan.dispatcher", port)
    async with running_stack(tmp_path, only=frozenset({"s3"})) as stack:
        token = json.loads((tmp_path / "secrets.json").read_text())["webhook_token"]
        store = ObjectStore.from_url(stack.endpoints.s3_url)
        store.put("live/p/e/main/i1/manifest.json", b"{}", "application/json")
        paths = set()
        while not any(str(path).endswith("manifest.json") for path in paths):
            path, authorization, body = posted.get(timeout=20)
            assert (path, authorization) == ("/events/seaweedfs", f"Bearer {token}")
            assert body["event_type"] == "create"
            paths.add(body["key"])
    assert "/buckets/livepath/live/p/e/main/i1/manifest.json" in paths
