"""Readings over a real Valkey."""

import pytest

from infra.errors import BusUnavailable
from infra.events import readings
from infra.events.bus import connect
from infra.events.readings import CHANNEL, KEPT, Reading, ViewersReading, kept, newest, tell
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


def reading(at_ms: int, event: str = "ev_1") -> Reading:
    viewers = ViewersReading(whep=at_ms, hls=0)
    return Reading(
        project="acme", event=event, feed="main", node="n1", at_ms=at_ms, state="live",
        viewers=viewers,
    )  # fmt: skip


async def test_what_is_told_is_kept_in_order_and_the_newest_is_found(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client:
        await tell(client, [reading(1), reading(2), reading(9, "ev_2")])
        assert await kept(client, "acme", "ev_1", "main") == [reading(1), reading(2)]
        assert await kept(client, "other", "ev_1", "main") == []
        assert await kept(client, "acme", "ev_1", "main", since_ms=2**45) == []
        assert await newest(client, "acme", ["ev_1", "ev_2", "ev_3"], "main") == {
            "ev_1": reading(2),
            "ev_2": reading(9, "ev_2"),
        }


async def test_only_the_last_hour_is_kept_and_not_for_good(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client:
        await tell(client, [reading(at) for at in range(KEPT + 300)])
        found = await kept(client, "acme", "ev_1", "main")
        assert len(found) == KEPT
        assert found[-1] == reading(KEPT + 299)
        key = f"{CHANNEL}:acme:ev_1:main"
        assert await client.xlen(key) < KEPT + 200
        assert 0 < await client.ttl(key) <= readings.KEPT_S


async def test_what_cannot_be_read_is_left_out(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client:
        await client.xadd(f"{CHANNEL}:acme:ev_1:main", {"reading": "noise"})
        await client.xadd(f"{CHANNEL}:acme:ev_1:main", {"other": "x"})
        assert await kept(client, "acme", "ev_1", "main") == []
        assert await newest(client, "acme", ["ev_1"], "main") == {}


async def test_a_bus_that_is_away_is_told(valkey: ValkeyServer) -> None:
    valkey.stop()
    async with connect(valkey.url) as client:
        with pytest.raises(BusUnavailable):
            await tell(client, [reading(1)])
        await tell(client, [])
        with pytest.raises(BusUnavailable):
            await newest(client, "acme", ["ev_1"], "main")
    valkey.start()
