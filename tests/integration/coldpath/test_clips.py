"""Clips from the request to the asset: control API, bell, dispatcher, broker, worker, S3."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import httpx2
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session as Rows

from infra.control.app import create_app
from infra.control.bootstrap import add_api_key
from infra.control.context import ControlContext, Databases
from infra.control.links import Links
from infra.control.objects import Objects
from infra.control.presign import Presigner
from infra.control.server import now_ms
from infra.control.streaming import Streams
from infra.control.viewing import Viewing
from infra.db.control import Event
from infra.db.engine import async_engine
from infra.events.bell import Bell
from infra.events.bus import connect
from infra.keys import ProgramKey
from infra.lifecycle import EventState
from infra.storage.objects import ObjectStore
from infra.webhooks.guard import Allowed, Guard
from tests.support.coldpath import ColdStack
from tests.support.s3 import SeaweedServer, free_ports
from tests.support.session import EPOCH_NS, encode, session
from tests.support.valkey import ValkeyServer

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.integration, pytest.mark.slow]

KEY = "lp_default_key_of_the_tests"
EPOCH_MS = EPOCH_NS // 1_000_000
FIRST = "loyw3v28"
"""The epoch's milliseconds in base 36: a media node's name for this incarnation."""
TIMELY_S = 5.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColdStack]:
    folder = tmp_path_factory.mktemp("clips")
    s3 = SeaweedServer(folder / "s3")
    (folder / "broker").mkdir()
    try:
        s3.start()
        with ValkeyServer(folder / "broker") as broker:
            stack = ColdStack(
                folder,
                database_url=f"sqlite:///{folder}/livepath.db",
                broker_url=broker.url,
                s3_url=s3.url("clips"),
                port=free_ports(1)[0],
                settings={"LIVEPATH_BUS_URL": broker.url},
            )
            try:
                yield stack
            finally:
                stack.close()
    finally:
        s3.stop()


@asynccontextmanager
async def control(stack: ColdStack) -> AsyncIterator[httpx2.AsyncClient]:
    """The API over the stack's database, with its bell on the stack's bus."""
    engine, presigner = async_engine(stack.database_url), Presigner(stack.s3_url)
    databases, objects = Databases.of(engine), Objects(lambda: ObjectStore.from_url(stack.s3_url))
    links = Links(
        public_url="http://c.test", media_url="http://m.test", srt_url="srt://m.test:1",
        srt_latency_ms=120,
    )  # fmt: skip
    async with connect(stack.broker_url) as bus:
        bell = Bell(bus)
        ringing = asyncio.create_task(bell.run())
        app = create_app(
            ControlContext(
                databases, links, presigner, objects, Viewing(databases.reading, now_ms),
                bell.ring, {}, now_ms, Guard(Allowed()), Streams(databases.reading),
            )
        )  # fmt: skip
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://c.test",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as client:
            yield client
        ringing.cancel()
        await asyncio.gather(ringing, return_exceptions=True)
    presigner.close()
    objects.close()
    await engine.dispose()


def at(seconds: float) -> str:
    """RFC 3339, `seconds` after the epoch."""
    return f"2023-11-14T22:13:{20 + seconds:06.3f}Z"


async def made(client: httpx2.AsyncClient, event: str, **wanted: Any) -> tuple[dict[str, Any], int]:
    """The clip when it is there, and how many milliseconds that took."""
    began = time.monotonic()
    posted = await client.post(f"/v1/events/{event}/clips", json=wanted)
    assert posted.status_code == 201, posted.text
    async with asyncio.timeout(30):
        while True:
            clip = (await client.get(posted.headers["Location"])).json()
            if clip["state"] in ("succeeded", "dead"):
                assert clip["state"] == "succeeded", clip
                return clip, round((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.01)


async def test_clips_of_a_live_event_are_there_at_once(stack: ColdStack, tmp_path: Path) -> None:
    stack.dispatcher()
    stack.worker()
    stack.event("p", "live", EventState.LIVE)
    with Rows(stack.engine) as rows, rows.begin():
        rows.execute(update(Event).where(Event.id == "live").values(started_ms=EPOCH_MS))
        add_api_key(rows, "p", KEY, "test", 0)
    whole = session(ProgramKey("p", "live"), FIRST, *encode(6.0, bframes=0, gop=25))
    for key, data in whole.objects.items():
        stack.store.put(key, data, "video/mp4")

    async with control(stack) as client:
        await made(client, "live", start=at(0), end=at(1))  # the pool's process opens its store
        instant, took_ms = await made(client, "live", start=at(2.5), end=at(3.5))
        log.info("an instant clip took %d ms", took_ms)
        assert took_ms < TIMELY_S * 1000
        text = stack.store.get(instant["asset"]["key"]).decode()
        assert "#EXT-X-START:TIME-OFFSET=0.500" in text

        exact, took_ms = await made(client, "live", start=at(1.4), end=at(4.6), mode="exact")
        log.info("an exact clip took %d ms", took_ms)
        assert exact["asset"]["detail"]["frames"] == 80
        with urlopen(exact["asset"]["url"]) as answer:
            (tmp_path / "clip.mp4").write_bytes(answer.read())
        with av.open(str(tmp_path / "clip.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == 80

        listed = (await client.get("/v1/events/live/clips")).json()["items"]
        assert [clip["mode"] for clip in listed] == ["exact", "instant", "instant"]
