"""The uploader process over a real S3 server that comes and goes."""

import itertools
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotpath.hls.spool import Spool, SpoolSession
from infra.manifest import SessionManifest
from infra.storage.objects import ObjectStore
from infra.telemetry.stages import stage_quantiles
from tests.support.s3 import SeaweedServer
from tests.support.spool import Feed, open_session, segment_bytes
from tests.support.uploader import UploaderProcess

pytestmark = pytest.mark.integration

SIZE = 60_000
PREFIX = "live/default/ev_a/main/m1"
WAIT_S = 60
_buckets = (f"uploader-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A server of this module's own, because it is killed and frozen here."""
    server = SeaweedServer(tmp_path_factory.mktemp("seaweedfs"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def url(server: SeaweedServer) -> str:
    return server.url(next(_buckets))


@pytest.fixture
def store(url: str) -> Iterator[ObjectStore]:
    with ObjectStore.from_url(url) as store:
        store.ensure_bucket()
        yield store


@pytest.fixture
def uploader(tmp_path: Path, url: str) -> Iterator[UploaderProcess]:
    process = UploaderProcess(tmp_path, url)
    yield process
    process.end()


class Recording:
    """A media node's spool next to the uploader."""

    def __init__(self, data_dir: Path) -> None:
        self.live = data_dir / "spool" / "live"
        self.told: list[str] = []
        self.spool = Spool(
            data_dir / "spool",
            1 << 30,
            lambda _, reason: self.told.append(reason),
            lambda _: self.told.append("restored"),
        )
        self.session: SpoolSession = open_session(self.spool)
        self.feed = Feed(self.session, ("video", "audio"), size=SIZE)
        self.given = 0

    def give(self, segments: int) -> None:
        self.feed.segments(range(self.given, self.given + segments))
        self.given += segments
        assert self.spool.flush(WAIT_S)

    def seal(self) -> None:
        self.session.seal(final=True)
        assert self.spool.flush(WAIT_S)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path)
    yield recording
    assert recording.spool.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_that_all_arrived(store: ObjectStore, recording: Recording) -> None:
    keys = {info.key: info for info in store.list("live/")}
    for name in ("video", "audio"):
        for msn in range(recording.given):
            assert store.get(f"{PREFIX}/{name}/s{msn}.m4s") == segment_bytes(name, msn, size=SIZE)
    assert len(keys) == 2 * recording.given + 2 + 1
    manifest = SessionManifest.model_validate_json(store.get(f"{PREFIX}/manifest.json"))
    for entry in manifest.renditions:
        assert [segment.msn for segment in entry.segments] == list(range(recording.given))
        assert entry.holes == ()
    last = keys.pop(f"{PREFIX}/manifest.json").modified_ms
    assert all(info.modified_ms <= last for info in keys.values())
    assert recording.told == []


def spool_is_empty(recording: Recording) -> bool:
    return not list(recording.live.iterdir())


def test_a_whole_session_arrives_and_is_measured(
    recording: Recording, uploader: UploaderProcess, store: ObjectStore
) -> None:
    uploader.start()
    recording.give(5)
    recording.seal()
    until(lambda: spool_is_empty(recording))
    check_that_all_arrived(store, recording)
    metrics = uploader.metrics()
    assert metrics["livepath_uploads_total"] == 13
    assert metrics["livepath_uploaded_bytes_total"] > 10 * 4 * SIZE
    assert metrics["livepath_upload_failures_total"] == 0
    until(lambda: uploader.metrics()["livepath_spool_backlog_files"] == 0)
    assert uploader.metrics()["livepath_spool_oldest_age_seconds"] == 0
    assert "uploaded" in stage_quantiles(uploader.metrics_text())
    until(lambda: uploader.ready().json()["checks"] == {"spool": "ok", "s3": "ok"})


def test_an_outage_of_s3_stops_nothing_and_loses_nothing(
    server: SeaweedServer, recording: Recording, uploader: UploaderProcess, store: ObjectStore
) -> None:
    uploader.start()
    recording.give(3)
    until(lambda: uploader.metrics()["livepath_uploads_total"] == 8)
    server.kill()
    try:
        recording.give(20)
        until(lambda: uploader.metrics()["livepath_upload_failures_total"] >= 2)
        ready = uploader.ready()
        assert ready.status_code == 200
        until(lambda: "s3://uploader" in uploader.ready().json()["checks"]["s3"])
        recording.give(5)
        until(lambda: uploader.metrics()["livepath_spool_backlog_files"] == 50)
        assert uploader.metrics()["livepath_spool_backlog_bytes"] == 50 * 4 * SIZE
        assert uploader.metrics()["livepath_spool_oldest_age_seconds"] > 0
    finally:
        server.start()
    recording.give(2)
    recording.seal()
    until(lambda: spool_is_empty(recording))
    check_that_all_arrived(store, recording)
    metrics = uploader.metrics()
    assert metrics["livepath_uploads_total"] == 63, "nothing is counted, so sent, twice"
    assert metrics["livepath_upload_conflicts_total"] == 0


def test_a_frozen_s3_is_waited_for(
    server: SeaweedServer, recording: Recording, uploader: UploaderProcess, store: ObjectStore
) -> None:
    uploader.start()
    recording.give(2)
    until(lambda: uploader.metrics()["livepath_uploads_total"] == 6)
    server.freeze()
    try:
        recording.give(6)
        # The probe gives up after three seconds and tells.
        until(lambda: "s3://uploader" in uploader.ready().json()["checks"]["s3"])
    finally:
        server.thaw()
    recording.seal()
    until(lambda: spool_is_empty(recording))
    check_that_all_arrived(store, recording)
    assert not (recording.live.parent / "conflicts").exists()


def test_an_uploader_killed_again_and_again_finishes_its_work(
    recording: Recording, uploader: UploaderProcess, store: ObjectStore
) -> None:
    recording.give(20)
    chance = random.Random(7)
    for _ in range(2):
        uploader.start()
        before = uploader.metrics()["livepath_uploads_total"]
        until(lambda before=before: uploader.metrics()["livepath_uploads_total"] > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.2))
        uploader.kill()
        recording.give(5)
    recording.seal()
    uploader.start()
    until(lambda: spool_is_empty(recording))
    check_that_all_arrived(store, recording)
    assert not (recording.live.parent / "conflicts").exists()


def test_other_bytes_under_a_key_are_kept_and_reported(
    recording: Recording, uploader: UploaderProcess, store: ObjectStore
) -> None:
    store.put(f"{PREFIX}/video/s1.m4s", b"someone else's", "video/mp4")
    store.put(f"{PREFIX}/video/s2.m4s", segment_bytes("video", 2, size=SIZE), "video/mp4")
    recording.give(4)
    recording.seal()
    uploader.start()
    until(lambda: spool_is_empty(recording))
    assert store.get(f"{PREFIX}/video/s1.m4s") == b"someone else's"
    aside = recording.live.parent / "conflicts" / PREFIX / "video/s1.m4s"
    assert aside.read_bytes() == segment_bytes("video", 1, size=SIZE)
    assert uploader.metrics()["livepath_upload_conflicts_total"] == 1
    assert "nothing was overwritten" in uploader.log


def test_sigterm_ends_it_whatever_s3_does(
    server: SeaweedServer, recording: Recording, uploader: UploaderProcess
) -> None:
    uploader.start()
    assert uploader.terminate() == 0
    recording.give(3)
    uploader.start()
    server.freeze()
    try:
        recording.give(3)
        # The connections would hang for 30 s more.
        assert uploader.terminate() == 0
    finally:
        server.thaw()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LIVEPATH_S3_URL", "s3://key@bucket", "both key and secret"),
        ("LIVEPATH_UPLOADER_PORT", "many", "uploader_port"),
    ],
)
def test_bad_configuration_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv("LIVEPATH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    run = subprocess.run(
        [sys.executable, "-m", "hotpath", "upload"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
