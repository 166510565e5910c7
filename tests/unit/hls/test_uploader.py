"""The uploader's loop over a store in memory that can be made to fail."""

import socket
from pathlib import Path

import pytest

from hotpath.hls import uploader_schedule
from hotpath.hls.spool import Spool
from hotpath.hls.spool_layout import DOORBELL
from hotpath.hls.spool_recovery import recover
from infra.manifest import SessionManifest
from tests.support.spool import Feed, folder, open_session, segment_bytes
from tests.support.uploading import FaultyStore, Run, files, key, record


def test_everything_arrives_and_the_spool_is_empty(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(5), renditions=("video", "audio"))
    run().until(lambda: not list((tmp_path / "live").iterdir()))
    for name in ("video", "audio"):
        assert store.get(key(f"{name}/init-0.mp4")) == f"init of {name}".encode()
        for msn in range(5):
            assert store.get(key(f"{name}/s{msn}.m4s")) == segment_bytes(name, msn)
    manifest = SessionManifest.model_validate_json(store.get(key("manifest.json")))
    assert [len(entry.segments) for entry in manifest.renditions] == [5, 5]
    assert store.order[-1] == key("manifest.json")
    assert len(store.order) == len(set(store.order)) == 13


def test_one_connection_sends_in_the_order_of_ingest(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(12))
    run(slots=1).until_empty()
    expected = ["video/init-0.mp4", *(f"video/s{n}.m4s" for n in range(12)), "manifest.json"]
    assert store.order == [key(name) for name in expected]


def test_a_live_session_is_uploaded_while_it_grows(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    running = run()
    spool = Spool(tmp_path, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool)
    feed = Feed(session)
    for msn in range(3):
        feed.segment(msn)
        running.until(lambda count=msn + 2: len(store.order) == count)  # type: ignore[misc]
    feed.part("video", 3, 0)
    assert spool.flush(10)
    assert folder(tmp_path).journal.exists()
    assert key("manifest.json") not in store.order
    session.seal(final=True)
    running.until_empty()
    assert store.order[-1] == key("manifest.json")
    assert spool.close()


def test_an_outage_delays_and_loses_nothing(tmp_path: Path, store: FaultyStore, run: Run) -> None:
    store.down = True
    running = run()
    record(tmp_path, range(8))
    running.until(lambda: len(store.attempts) >= 4)
    before = files(tmp_path)
    assert store.order == []
    assert sum(name.endswith(".m4s") for name in before) == 8
    store.down = False
    running.until_empty()
    assert len(store.order) == len(set(store.order)) == 10
    assert store.order[-1] == key("manifest.json")


def test_an_outage_is_probed_with_one_upload_at_a_time(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    store.down = True
    record(tmp_path, range(8))
    running = run()
    running.until(lambda: len(store.attempts) >= 10)
    assert set(store.attempts[4:]) == {key("video/init-0.mp4")}


def test_one_refused_object_does_not_hold_up_the_others(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    store.refused = {key("video/s1.m4s")}
    record(tmp_path, range(5))
    running = run()
    running.until(lambda: len(store.order) == 5)
    assert key("manifest.json") not in store.order
    store.refused = set()
    running.until_empty()
    assert store.order[-2:] == [key("video/s1.m4s"), key("manifest.json")]


class TestTakenKeys:
    def test_the_same_bytes_count_as_stored(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(3))
        store.put(key("video/s1.m4s"), segment_bytes("video", 1), "video/mp4")
        run().until_empty()
        assert store.get(key("video/s1.m4s")) == segment_bytes("video", 1)
        assert not (tmp_path / "conflicts").exists()

    def test_other_bytes_are_never_overwritten_nor_thrown_away(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(3))
        store.put(key("video/s1.m4s"), b"someone else's", "video/mp4")
        run().until_empty()
        assert store.get(key("video/s1.m4s")) == b"someone else's"
        aside = tmp_path / "conflicts" / key("video/s1.m4s")
        assert aside.read_bytes() == segment_bytes("video", 1)
        assert store.order[-1] == key("manifest.json")


def test_manifests_go_in_the_order_of_the_incarnations(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(3), "m1", seal=False)
    record(tmp_path, range(3, 6), "m2")
    running = run()
    running.until(lambda: len(store.order) == 8)
    assert not [name for name in store.order if name.endswith("json")]
    recover(tmp_path)
    running.until_empty()
    assert store.order[-2:] == [key("manifest.json", "m1"), key("manifest.json", "m2")]


def test_the_bell_rings_when_the_manifest_is_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(tmp_path / DOORBELL))
        bell.settimeout(10)
        spool = Spool(tmp_path, 1 << 30, lambda *_: None, lambda *_: None)
        session = open_session(spool)
        Feed(session).segments(range(2))
        session.seal(final=True)
        while not list(tmp_path.rglob("manifest.json")):
            bell.recv(16)
        assert spool.close()


def test_the_doorbell_wakes_it_at_once(
    tmp_path: Path, store: FaultyStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_schedule, "SCAN_S", 3600.0)
    running = run()
    spool = Spool(tmp_path, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool)
    Feed(session).segments(range(2))
    session.seal(final=True)
    running.until_empty()
    assert spool.close()
