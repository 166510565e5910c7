"""What every `ObjectStore` promises; each implementation's tests inherit it and give a `store`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.errors import ObjectExists, ObjectMissing
from infra.storage.objects import ObjectStore, md5_hex


class ObjectStoreContract:
    def test_stores_and_returns_the_same_bytes(self, store: ObjectStore) -> None:
        etag = store.put("live/a", b"\x00\x01moof", "video/mp4")
        assert store.get("live/a") == b"\x00\x01moof"
        assert etag == md5_hex(b"\x00\x01moof")

    def test_stores_an_empty_object(self, store: ObjectStore) -> None:
        store.put("empty", b"", "text/plain")
        assert store.get("empty") == b""

    def test_stores_a_file(self, store: ObjectStore, tmp_path: Path) -> None:
        (tmp_path / "segment").write_bytes(b"from disk")
        store.put("live/file", tmp_path / "segment", "video/mp4")
        assert store.get("live/file") == b"from disk"

    def test_an_exclusive_put_leaves_an_existing_object_alone(self, store: ObjectStore) -> None:
        store.put("live/a", b"first", "video/mp4")
        with pytest.raises(ObjectExists, match="live/a"):
            store.put("live/a", b"second", "video/mp4")
        assert store.get("live/a") == b"first"

    def test_a_put_that_is_not_exclusive_replaces(self, store: ObjectStore) -> None:
        store.put("live/a", b"first", "video/mp4")
        store.put("live/a", b"second", "video/mp4", exclusive=False)
        assert store.get("live/a") == b"second"

    def test_one_of_many_racing_exclusive_puts_wins(self, store: ObjectStore) -> None:
        def put(number: int) -> bool:
            try:
                store.put("live/race", b"writer %d" % number, "video/mp4")
            except ObjectExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(put, range(16)))
        assert won.count(True) == 1
        assert store.get("live/race") == b"writer %d" % won.index(True)

    def test_head_tells_size_and_etag(self, store: ObjectStore) -> None:
        etag = store.put("live/a", b"12345", "video/mp4")
        info = store.head("live/a")
        assert info is not None
        assert (info.key, info.bytes, info.etag) == ("live/a", 5, etag)

    def test_a_missing_key_is_told_from_a_failure(self, store: ObjectStore, tmp_path: Path) -> None:
        assert store.head("live/none") is None
        with pytest.raises(ObjectMissing, match="live/none"):
            store.get("live/none")
        with pytest.raises(ObjectMissing):
            store.download("live/none", tmp_path / "none")
        with pytest.raises(ObjectMissing):
            store.read("live/none", 0, 1)
        assert list(tmp_path.iterdir()) == []

    def test_a_part_of_an_object_can_be_read(self, store: ObjectStore) -> None:
        store.put("live/a", b"0123456789", "video/mp4")
        assert store.read("live/a", 0, 1) == b"0"
        assert store.read("live/a", 4, 3) == b"456"
        assert store.read("live/a", 7, 100) == b"789"

    def test_download_writes_the_whole_object(self, store: ObjectStore, tmp_path: Path) -> None:
        content = bytes(range(256)) * 10_000
        store.put("live/big", content, "video/mp4")
        store.download("live/big", tmp_path / "big")
        assert (tmp_path / "big").read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["big"]

    def test_list_finds_every_key_below_the_prefix_once(self, store: ObjectStore) -> None:
        keys = {f"live/p/ev/main/{i}/video/s{n}.m4s" for i in ("a1", "a1-b") for n in range(5)}
        for key in [*keys, "vod/p/other"]:
            store.put(key, b"x", "video/mp4")
        found = [info.key for info in store.list("live/")]
        assert set(found) == keys
        assert len(found) == len(keys)

    def test_list_goes_on_behind_a_key(self, store: ObjectStore) -> None:
        for n in range(6):
            store.put(f"live/s{n}", b"x", "video/mp4")
        assert [i.key for i in store.list("live/", after="live/s3")] == ["live/s4", "live/s5"]

    def test_list_of_nothing_is_empty(self, store: ObjectStore) -> None:
        assert list(store.list("nothing/")) == []

    @pytest.mark.parametrize("expires_s", [0, -1, 7 * 24 * 3600 + 1])
    def test_a_presigned_url_lives_a_second_to_a_week(
        self, store: ObjectStore, expires_s: int
    ) -> None:
        with pytest.raises(ValueError, match="expires_s"):
            store.presign("live/a", expires_s)

    def test_holds_compares_the_content(self, store: ObjectStore, tmp_path: Path) -> None:
        same, other = tmp_path / "same", tmp_path / "other"
        same.write_bytes(b"12345")
        other.write_bytes(b"12346")
        store.put("live/a", b"12345", "video/mp4")
        assert store.holds("live/a", same)
        assert not store.holds("live/a", other)
        assert not store.holds("live/none", same)

    def test_ensuring_the_bucket_twice_is_harmless(self, store: ObjectStore) -> None:
        store.ensure_bucket()
        store.ensure_bucket()
        store.check()
