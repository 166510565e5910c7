"""How many watch at the live edge, as the origin sees it."""

import pytest

from tests.support.blocking import blocked
from tests.support.coded import coded, marked
from tests.support.on_air import on_air, playlist

pytestmark = pytest.mark.integration


async def test_who_waits_for_sound_and_picture_is_one_viewer() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded(seconds=4)))
        await programme.publish_until(1, 0)
        live = programme.live
        assert live.count_viewers() == 0
        waiting = [
            await blocked(programme.origin, playlist(client, f"{track}.m3u8", "_HLS_msn=2"))
            for track in ("video", "audio", "video", "audio", "audio")
        ]
        await programme.publish_rest()
        for request in waiting:
            await request
        # One of the three has the sound alone, so far.
        assert live.count_viewers() == 3
        assert live.count_viewers() == 0
