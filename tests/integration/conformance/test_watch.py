"""The checker's player, on an origin that the test controls."""

import pytest

from conformance import watch as watching
from conformance.client import Client
from conformance.watch import Watch
from tests.support.bridges import until
from tests.support.coded import coded, marked
from tests.support.on_air import LIVE, on_air

pytestmark = pytest.mark.integration


async def test_an_init_section_that_there_was_no_room_for_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever comes with it would wait for it for ever."""
    async with on_air() as (programme, http), Client() as client:
        programme.load(marked(coded()))
        await programme.publish_until(1, 1)
        watch = Watch(client, "video.m3u8", f"{http.base_url}{LIVE}video.m3u8", "video")
        with monkeypatch.context() as full:
            full.setattr(watching, "MAX_TASKS", 0)
            await watch.reload()
        assert (len(watch.versions), watch.fetched) == (1, [])
        await programme.publish_until(1, 2)
        await watch.reload()
        await until(lambda: any(found.runs for found in watch.fetched if found.kind == "part"))
        assert [found.uri for found in watch.fetched if found.kind == "init"] == [
            "k1/video/init-0.mp4"
        ]
