from pathlib import Path

from coldpath.metering import MeteredStore
from infra.storage.memory import MemoryObjectStore


def test_bytes_are_counted_both_ways(tmp_path: Path) -> None:
    metered = MeteredStore(MemoryObjectStore())
    metered.put("vod/p/e/main/c/a.txt", b"four", "text/plain")
    (tmp_path / "b").write_bytes(b"seven..")
    metered.put("vod/p/e/main/c/b.txt", tmp_path / "b", "text/plain")
    assert metered.get("vod/p/e/main/c/a.txt") == b"four"
    metered.download("vod/p/e/main/c/b.txt", tmp_path / "c")
    assert (metered.bytes_in, metered.bytes_out) == (11, 11)


def test_everything_else_is_the_stores() -> None:
    store = MemoryObjectStore()
    metered = MeteredStore(store)
    metered.put("vod/p/e/main/c/a.txt", b"four", "text/plain")
    assert metered.head("vod/p/e/main/c/a.txt") == store.head("vod/p/e/main/c/a.txt")
    assert [info.key for info in metered.list("vod/")] == ["vod/p/e/main/c/a.txt"]
    metered.close()
    assert store.get("vod/p/e/main/c/a.txt") == b"four"
