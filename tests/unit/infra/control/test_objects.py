"""The bucket as viewers read it: slices, what is remembered, and a store in trouble."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from infra.control.objects import SLICE, Objects, StoreUnavailable
from infra.control.routes import objects as route
from infra.errors import StorageError
from infra.storage.memory import MemoryObjectStore
from infra.storage.objects import ObjectInfo

FILM = bytes(range(256)) * (SLICE // 100)
SHORT_S = 0.05


class Bucket(MemoryObjectStore):
    """Counts, and does as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 0
        self.largest = 0
        self.gate: threading.Event | None = None
        self.error: StorageError | None = None

    def head(self, key: str) -> ObjectInfo | None:
        self.heads += 1
        if self.gate is not None:
            self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return super().head(key)

    def read(self, key: str, first: int, count: int) -> bytes:
        self.largest = max(self.largest, count)
        return super().read(key, first, count)


@pytest.fixture
def bucket() -> Bucket:
    made = Bucket()
    made.put("vod/film", FILM, "video/mp4")
    return made


@pytest.fixture
async def objects(bucket: Bucket) -> AsyncIterator[Objects]:
    made = Objects(lambda: bucket, threads=1, waiting=1, read_s=SHORT_S)
    yield made
    made.close()


async def test_what_is_sent_is_never_held_whole(objects: Objects, bucket: Bucket) -> None:
    info = await objects.find("vod/film")
    assert info is not None
    pieces = [piece async for piece in objects.slices(info, 3, len(FILM) - 3)]
    assert b"".join(pieces) == FILM[3:-3]
    assert bucket.largest == max(map(len, pieces)) == SLICE


async def test_what_was_found_is_not_looked_for_again(objects: Objects, bucket: Bucket) -> None:
    for _ in range(3):
        assert await objects.find("vod/film") is not None
        # It may still come.
        assert await objects.find("vod/none") is None
    assert bucket.heads == 4


async def test_a_store_that_hangs_costs_its_own_requests(objects: Objects, bucket: Bucket) -> None:
    bucket.gate = threading.Event()
    try:
        with pytest.raises(StoreUnavailable, match="too long"):
            await objects.find("vod/film")
        waiting = asyncio.create_task(objects.find("vod/film"))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await objects.find("vod/film")
        with pytest.raises(StoreUnavailable, match="too long"):
            await waiting
    finally:
        bucket.gate.set()


async def test_a_store_that_fails_is_told_in_words(objects: Objects, bucket: Bucket) -> None:
    bucket.error = StorageError("HEAD s3://b/vod/film: 500")
    with pytest.raises(StoreUnavailable, match="500"):
        await objects.find("vod/film")


async def test_what_is_stored_already_stays(objects: Objects, bucket: Bucket) -> None:
    for text in (b"first", b"second"):
        await objects.put("vod/replay", text, "application/json")
    assert bucket.get("vod/replay") == b"first"


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "SEND_S", SHORT_S)
    sent = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def send(message: object) -> None:
        sent.append(message)
        if len(sent) == 2:
            await asyncio.Event().wait()

    await route._Sliced(pieces()).stream_response(send)
    assert len(sent) == 2
