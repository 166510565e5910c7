"""Older media: from the spool, from the store, once for all who ask, and never at others' cost."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from hotpath.hls.vault import Vault, VaultUnavailable
from infra.errors import StorageError
from infra.storage.memory import MemoryObjectStore

KEY = "live/acme/ev_1/main/k1/video/s7.m4s"
DATA = b"media" * 100


class Store(MemoryObjectStore):
    """Counts what is read, and can be down, hang, or do something first."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.down = False
        self.open = threading.Event()
        self.open.set()
        self.before: Callable[[], None] = lambda: None

    def get(self, key: str) -> bytes:
        self.reads.append(key)
        self.before()
        assert self.open.wait(10)
        if self.down:
            raise StorageError("the store is down")
        return super().get(key)


@dataclass
class Place:
    spool: Path
    store: Store = field(default_factory=Store)
    made: list[Vault] = field(default_factory=list)

    def vault(self, **options: float) -> Vault:
        made = Vault(self.spool, lambda: self.store, **options)  # type: ignore[arg-type]
        self.made.append(made)
        return made

    def spooled(self, name: str, data: bytes = DATA) -> None:
        path = self.spool / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def stored(self, key: str = KEY, data: bytes = DATA) -> None:
        self.store.put(key, data, "video/mp4")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path)
    yield one
    one.store.open.set()
    for vault in one.made:
        vault.close()


def reads(source: str) -> float:
    value = REGISTRY.get_sample_value("livepath_hls_older_reads_total", {"source": source})
    return value or 0.0


def failures(reason: str) -> float:
    value = REGISTRY.get_sample_value("livepath_hls_older_failures_total", {"reason": reason})
    return value or 0.0


async def test_the_spool_comes_first(place: Place) -> None:
    place.spooled(KEY)
    before = reads("spool")
    assert await place.vault().read(KEY, len(DATA)) == DATA
    assert place.store.reads == []
    assert reads("spool") == before + 1


async def test_what_the_uploader_took_is_in_the_store(place: Place) -> None:
    place.stored()
    before = reads("store")
    assert await place.vault().read(KEY, len(DATA)) == DATA
    assert reads("store") == before + 1


async def test_a_segment_that_waits_for_the_disk_is_there_once_it_is_whole(place: Place) -> None:
    partial = KEY.replace(".m4s", ".partial")
    place.spooled(partial, DATA[:-1])
    assert await place.vault().read(KEY, len(DATA)) is None
    place.spooled(partial)
    assert await place.vault().read(KEY, len(DATA)) == DATA


async def test_the_spool_is_looked_at_again_after_the_store(place: Place) -> None:
    """It finished the file, and the uploader has not come to it, between the two looks."""
    place.store.before = lambda: place.spooled(KEY)
    assert await place.vault().read(KEY, len(DATA)) == DATA
    assert place.store.reads == [KEY]


async def test_what_nobody_has_is_nowhere(place: Place) -> None:
    assert await place.vault().read(KEY, len(DATA)) is None


async def test_other_bytes_are_not_the_file(place: Place) -> None:
    place.stored(data=DATA + b"!")
    assert await place.vault().read(KEY, len(DATA)) is None


async def test_many_who_ask_at_once_are_one_read(place: Place) -> None:
    place.stored()
    place.store.open.clear()
    vault = place.vault()
    asking = [asyncio.create_task(vault.read(KEY, len(DATA))) for _ in range(100)]
    while not place.store.reads:
        await asyncio.sleep(0.001)
    asking[0].cancel()  # who came first may leave
    place.store.open.set()
    assert await asyncio.gather(*asking[1:]) == [DATA] * 99
    assert await vault.read(KEY, len(DATA)) == DATA
    assert place.store.reads == [KEY]


async def test_bytes_held_are_bounded(place: Place) -> None:
    names = [f"live/acme/ev_1/main/k1/video/s{msn}.m4s" for msn in range(50)]
    for name in names:
        place.stored(name)
    vault = place.vault(cache_bytes=5 * len(DATA))
    for name in names:
        assert await vault.read(name, len(DATA)) == DATA
        held = REGISTRY.get_sample_value("livepath_hls_older_cached_bytes")
        assert held is not None
        assert held <= 5 * len(DATA)
    place.store.reads.clear()
    for name in names[-5:]:
        await vault.read(name, len(DATA))
    assert place.store.reads == [], "the last ones are held"
    await vault.read(names[-6], len(DATA))
    assert place.store.reads == [names[-6]]


async def test_a_store_that_is_down_costs_what_only_it_has(place: Place) -> None:
    place.store.down = True
    other = KEY.replace("s7", "s8")
    place.spooled(other)
    vault, before = place.vault(), failures("store")
    with pytest.raises(VaultUnavailable):
        await vault.read(KEY, len(DATA))
    assert failures("store") == before + 1
    assert await vault.read(other, len(DATA)) == DATA
    place.store.down = False
    place.stored()
    assert await vault.read(KEY, len(DATA)) == DATA


async def test_a_store_that_hangs_costs_what_only_it_has(place: Place) -> None:
    place.store.open.clear()
    vault = place.vault(store_threads=2, store_waiting=3, read_s=0.2)
    names = [f"live/acme/ev_1/main/k1/video/s{msn}.m4s" for msn in range(9)]
    place.spooled(names[8])
    busy, slow = failures("busy"), failures("slow")
    asking = [asyncio.create_task(vault.read(name, len(DATA))) for name in names[:8]]
    await asyncio.sleep(0)
    assert await vault.read(names[8], len(DATA)) == DATA
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, VaultUnavailable) for answer in answers)
    assert failures("busy") == busy + 3
    assert failures("slow") == slow + 5
    assert len(place.store.reads) == 2, "no more than there are threads"
    for name in names:
        place.stored(name)
    place.store.open.set()
    assert await vault.read(names[0], len(DATA)) == DATA


async def test_the_store_is_opened_once(place: Place) -> None:
    opened: list[int] = []

    def open_store() -> Store:
        opened.append(1)
        return place.store

    place.stored()
    vault = Vault(place.spool, open_store)
    vault.prepare()
    vault.prepare()
    assert await vault.read(KEY, len(DATA)) == DATA
    assert opened == [1]
    vault.close()
