"""`python -m hotpath upload`: moves the spool to the object store.

A process of its own, so that neither a slow store nor boto3 can cost the media node a frame.
Upstream: the spool folder (`spool_layout`) and its doorbell. Downstream: S3. It serves `/metrics`,
`/healthz` and `/readyz`, and ends within five seconds of SIGTERM.
"""

import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import structlog
from pydantic import ValidationError

from hotpath.hls.spool_layout import LIVE, UPLOADER_LOCK
from hotpath.hls.spool_lock import take_lock
from hotpath.hls.uploader_schedule import Uploader
from infra.errors import ConfigurationError, StorageError
from infra.settings import UploaderSettings
from infra.storage.objects import ObjectStore
from infra.telemetry.logs import configure_logging
from infra.telemetry.ops import Impaired, OpsServer
from infra.telemetry.tracing import start_tracing, stop_tracing

log = structlog.get_logger(__name__)

PROBE_S = 5.0
LOCK_WAIT_S = 10.0
SPANS_STOP_S = 0.4


class StoreProbe:
    """Knows whether the object store works, for `/readyz`; makes the bucket where it is missing."""

    def __init__(self, store: ObjectStore) -> None:
        self.problem: Impaired | None = Impaired("not reached yet")
        """The spool is there for the time without a store, so that the role stays ready."""
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="s3-probe", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while True:
            try:
                self._store.ensure_bucket()
                self.problem = None
            except StorageError as error:
                self.problem = Impaired(str(error))
            # Soon again while something is wrong.
            if self._stop.wait(PROBE_S if self.problem is None else PROBE_S / 10):
                return


def serve(settings: UploaderSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    root = settings.data_dir / "spool"
    (root / LIVE).mkdir(parents=True, exist_ok=True)
    store = ObjectStore.from_url(settings.s3_url)
    _wait_for_lock(root)
    uploader, probe = Uploader(root, store), StoreProbe(store)
    checks = {"spool": lambda: uploader.spool_error, "s3": lambda: probe.problem}
    ops = OpsServer(settings.uploader_host, settings.uploader_port, checks)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: uploader.stop())
    ops.start()
    probe.start()
    log.info("uploading", spool=str(root), port=ops.port)
    uploader.run()
    probe.stop()
    ops.stop()


def _wait_for_lock(root: Path) -> None:
    """The one before us may still be finishing its uploads."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            take_lock(root / UPLOADER_LOCK, "uploader")
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def main() -> None:
    try:
        settings = UploaderSettings()
        configure_logging("uploader", settings.log_format, settings.log_level)
        start_tracing("uploader", settings.otlp_endpoint)
        serve(settings)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        _complain("; ".join(wrong))
    except (ConfigurationError, OSError) as error:
        _complain(str(error))
    finally:
        stop_tracing(SPANS_STOP_S)


def _complain(problem: str) -> NoReturn:
    sys.stderr.write(f"uploader cannot run: {problem}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
