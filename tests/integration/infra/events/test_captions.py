"""Captions over a real Valkey."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from infra.errors import BusUnavailable
from infra.events.bus import connect, connect_blocking
from infra.events.captions import CHANNEL, HeardCue, HeardWindow, announce, heard
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration

PATIENCE_S = 10
NOW = 1_700_000_000_000
WINDOW = HeardWindow(
    "acme", "ev_1", "main", "i1", "en", NOW, NOW + 9_000, (HeardCue(NOW, NOW + 900, "Hello."),)
)


async def listened(valkey: ValkeyServer, windows: AsyncGenerator[HeardWindow]) -> HeardWindow:
    """The first window that is heard; it is told again and again, for nobody says when the
    listener has subscribed."""
    first = asyncio.ensure_future(anext(windows))
    with connect_blocking(valkey.url) as client:
        while not first.done():
            await asyncio.to_thread(announce, client, WINDOW)
            await asyncio.wait([first], timeout=0.05)
    return first.result()


async def test_a_window_is_heard_and_noise_is_not(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as listening, asyncio.timeout(PATIENCE_S):
        windows = heard(listening)
        assert await listened(valkey, windows) == WINDOW
        later = replace(WINDOW, from_ms=NOW + 9_000, until_ms=NOW + 19_000, cues=())
        with connect_blocking(valkey.url) as client:
            client.publish(CHANNEL, "noise")
            client.publish(CHANNEL, json.dumps({"project": "acme"}))
            announce(client, later)
        while (window := await anext(windows)) == WINDOW:
            pass
        assert window == later
        await windows.aclose()


async def test_listening_goes_on_after_what_is_no_text(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as listening, asyncio.timeout(PATIENCE_S):
        windows = heard(listening)
        await listened(valkey, windows)
        with connect_blocking(valkey.url) as client:
            client.publish(CHANNEL, b"\xff\xfe")
        assert await listened(valkey, windows) == WINDOW
        await windows.aclose()


async def test_listening_goes_on_after_an_outage(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as listening, asyncio.timeout(PATIENCE_S):
        windows = heard(listening)
        await listened(valkey, windows)
        waiting = asyncio.ensure_future(anext(windows))
        valkey.stop()
        valkey.start()
        with connect_blocking(valkey.url) as client:
            while not waiting.done():
                await asyncio.to_thread(announce, client, WINDOW)
                await asyncio.wait([waiting], timeout=0.05)
        assert waiting.result() == WINDOW
        await windows.aclose()


def test_a_bus_that_is_away_is_said() -> None:
    with (
        connect_blocking("redis://127.0.0.1:1/0") as client,
        pytest.raises(BusUnavailable, match="does not answer"),
    ):
        announce(client, WINDOW)
