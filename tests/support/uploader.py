"""The uploader as the process that production runs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support.plain_http import NO_TLS
from tests.support.s3 import free_ports

START_TIMEOUT_S = 30


class UploaderProcess:
    """`python -m hotpath upload` over `<data_dir>/spool`; may be killed and started again."""

    def __init__(self, data_dir: Path, s3_url: str) -> None:
        self._data_dir = data_dir
        (self._port,) = free_ports(1)
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")},
            "LIVEPATH_DATA_DIR": str(data_dir),
            "LIVEPATH_S3_URL": s3_url,
            "LIVEPATH_UPLOADER_PORT": str(self._port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._data_dir / "uploader.log").read_text()

    def start(self) -> None:
        """Returns when it serves its health."""
        with (self._data_dir / "uploader.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hotpath", "upload"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                httpx2.get(self._url("healthz"), timeout=5, verify=NO_TLS).raise_for_status()
            except httpx2.TransportError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the uploader did not start: {self.log}") from error
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Exit status after SIGTERM; it must come long before a hanging upload gives up."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=20)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def ready(self) -> httpx2.Response:
        return httpx2.get(self._url("readyz"), timeout=5, verify=NO_TLS)

    def metrics(self) -> dict[str, float]:
        """Samples without labels, by name."""
        text = httpx2.get(self._url("metrics"), timeout=5, verify=NO_TLS).text
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.labels
        }

    def metrics_text(self) -> str:
        return httpx2.get(self._url("metrics"), timeout=5, verify=NO_TLS).text

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"
