"""A real S3 server for tests: SeaweedFS from its wheel, on free ports of 127.0.0.1.

`SeaweedServer` keeps its ports and data over `kill()` and `start()`, so a test can take S3 away
and give it back. The `s3_server` fixture shares one server per session; `s3_store` is a bucket of
the test's own on it.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.errors import StorageError
from infra.storage.objects import ObjectStore
from infra.supervisor.servers import WEED_ENVIRONMENT

ACCESS_KEY, SECRET_KEY = "livepath", "livepath-secret"
START_TIMEOUT_S = 40
_SERVERS = ("s3", "master", "volume", "filer", "admin")
_bucket_numbers = itertools.count(1)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def _ports() -> dict[str, int]:
    flags = [f"{name}.port{kind}" for name in _SERVERS for kind in ("", ".grpc")]
    return dict(zip(flags, free_ports(len(flags)), strict=True))


class SeaweedServer:
    """One `weed mini` process that can be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _ports()
        self._ran = False
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        identity = {
            "name": "livepath",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def url(self, bucket: str) -> str:
        return f"s3://{ACCESS_KEY}:{SECRET_KEY}@{bucket}?endpoint={self.endpoint}"

    def start(self) -> None:
        """Returns when the S3 API answers. The ports stay the same from the first start on."""
        for last in (False, False, True):
            try:
                self._start()
            except RuntimeError:
                # A free port may have been taken since; once there are clients it must stay.
                if last or self._ran:
                    raise
                self._ports = _ports()
            else:
                self._ran = True
                return

    def _start(self) -> None:
        weed = Path(sys.executable).with_name("weed")
        command = [str(weed), "-logtostderr=true", "mini", "-dir=data", "-s3.config=s3.json"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
        command += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += ["-volume.preStopSeconds=0", "-master.volumeSizeLimitMB=64"]
        command += [f"-{name}={port}" for name, port in self._ports.items()]
        environment = os.environ | WEED_ENVIRONMENT
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, env=environment
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut: no chance to flush."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """The server keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        with ObjectStore.from_url(self.url("livepath-probe")) as store:
            while True:
                try:
                    store.ensure_bucket()
                    return
                except StorageError as error:
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        self.kill()
                        log = (self._folder / "log").read_text(errors="replace")
                        raise RuntimeError(f"SeaweedFS did not start: {log[-2000:]}") from error
                    time.sleep(0.1)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One SeaweedFS for the whole session. A test that stops it must start it again."""
    server = SeaweedServer(tmp_path_factory.mktemp("seaweedfs"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3_url(s3_server: SeaweedServer) -> str:
    """The URL of a bucket of this test's own; `s3_store` makes it."""
    return s3_server.url(f"test-{next(_bucket_numbers)}")


@pytest.fixture
def s3_store(s3_url: str) -> Iterator[ObjectStore]:
    """The bucket that `s3_url` names, empty."""
    with ObjectStore.from_url(s3_url) as store:
        store.ensure_bucket()
        yield store
