import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from infra.errors import ObjectExists, ObjectMissing, StorageError
from infra.storage import s3, s3_puts
from infra.storage.objects import ObjectStore
from tests.support.s3 import SECRET_KEY, SeaweedServer
from tests.support.store_contract import ObjectStoreContract

pytestmark = pytest.mark.integration


class TestS3ObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, s3_store: ObjectStore) -> ObjectStore:
        return s3_store


def test_a_presigned_url_downloads_under_the_given_name(s3_store: ObjectStore) -> None:
    s3_store.put("vod/p/ev/a.mp4", b"movie", "video/mp4")
    answer = httpx2.get(s3_store.presign("vod/p/ev/a.mp4", 60, download_name='Zoë "live".mp4'))
    assert answer.status_code == 200
    assert answer.content == b"movie"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Zo_ _live_.mp4\"; filename*=UTF-8''Zo%C3%AB%20%22live%22.mp4"
    )


def test_without_the_signature_nobody_reads(s3_store: ObjectStore) -> None:
    s3_store.put("vod/p/secret", b"movie", "video/mp4")
    url = s3_store.presign("vod/p/secret", 60)
    assert httpx2.get(url).content == b"movie"
    assert httpx2.get(url.split("?")[0]).status_code == 403
    assert httpx2.get(url.replace("vod/p/secret", "vod/p/other")).status_code == 403


def test_presigned_urls_carry_the_public_endpoint(s3_server: SeaweedServer, s3_url: str) -> None:
    port = urlsplit(s3_server.endpoint).port
    with ObjectStore.from_url(f"{s3_url}&public_endpoint=http://localhost:{port}") as store:
        store.ensure_bucket()
        store.put("vod/a", b"movie", "video/mp4")
        url = store.presign("vod/a", 60)
    assert urlsplit(url).netloc == f"localhost:{port}"
    assert httpx2.get(url).content == b"movie"


@pytest.fixture
def _tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 allows no part below 5 MiB except the last.
    monkeypatch.setattr(s3_puts, "PART_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(s3, "SINGLE_PUT_MAX", 5 * 1024 * 1024)


@pytest.mark.usefixtures("_tiny_parts")
class TestLargeFiles:
    content = bytes(range(251)) * 50_000

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        (tmp_path / "archive.mp4").write_bytes(self.content)
        return tmp_path / "archive.mp4"

    def test_are_sent_in_parts_and_arrive_whole(self, s3_store: ObjectStore, path: Path) -> None:
        etag = s3_store.put("vod/large", path, "video/mp4")
        assert etag.endswith("-3")
        assert s3_store.get("vod/large") == self.content
        # The ETag of parts is no MD5 of the content: the bytes themselves decide.
        assert s3_store.holds("vod/large", path)

    def test_do_not_replace_an_object(self, s3_store: ObjectStore, path: Path) -> None:
        s3_store.put("vod/large", b"small", "video/mp4")
        with pytest.raises(ObjectExists):
            s3_store.put("vod/large", path, "video/mp4")
        assert s3_store.get("vod/large") == b"small"

    def test_race_without_mixing(self, s3_store: ObjectStore, path: Path) -> None:
        def put(_: int) -> bool:
            try:
                s3_store.put("vod/race", path, "video/mp4")
            except ObjectExists:
                return False
            return True

        # AWS completes one upload and refuses the others; SeaweedFS sometimes completes two.
        with ThreadPoolExecutor(3) as pool:
            assert any(pool.map(put, range(3)))
        assert s3_store.get("vod/race") == self.content


def test_every_page_of_a_long_listing_is_read(
    s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAGE_KEYS", 10)
    keys = [f"live/{n // 10}/s{n}" for n in range(35)]
    for key in keys:
        s3_store.put(key, b"x", "video/mp4")
    assert sorted(info.key for info in s3_store.list("live/")) == sorted(keys)


def test_a_wrong_secret_is_named_without_being_shown(s3_url: str) -> None:
    url = s3_url.replace(SECRET_KEY, "wrong-secret")
    with (
        ObjectStore.from_url(url) as store,
        pytest.raises(StorageError, match="check key, secret") as raised,
    ):
        store.put("a", b"x", "text/plain")
    assert "wrong-secret" not in str(raised.value)


def test_a_missing_bucket_is_reported_and_can_be_made(s3_server: SeaweedServer) -> None:
    with ObjectStore.from_url(s3_server.url("not-yet-there")) as store:
        with pytest.raises(ObjectMissing, match="not-yet-there"):
            store.check()
        store.ensure_bucket()
        store.check()


def test_a_store_that_refuses_connections_is_a_storage_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"s3://k:s@bucket?endpoint=http://127.0.0.1:{taken.getsockname()[1]}"
        with ObjectStore.from_url(url) as store:
            with pytest.raises(StorageError, match="PUT s3://bucket/live/a"):
                store.put("live/a", b"x", "video/mp4")
            with pytest.raises(StorageError):
                store.check()
            with pytest.raises(StorageError):
                list(store.list(""))


LISTED = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>
<KeyCount>2</KeyCount>{}</ListBucketResult>"""
ENTRY = """<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"""


def test_a_listing_with_keys_of_another_prefix_is_refused() -> None:
    """No real store does this, and one that did would show a tenant another one's recording."""
    body = LISTED.format("".join(ENTRY.format(key) for key in ("live/p/a", "live/q/a"))).encode()

    class Careless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"s3://k:s@bucket?endpoint=http://127.0.0.1:{server.server_port}"
        with ObjectStore.from_url(url) as store:
            found = store.list("live/p/")
            assert next(found).key == "live/p/a"
            with pytest.raises(StorageError, match="lists 'live/q/a' below 'live/p/'"):
                next(found)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
