"""Blocking reload, preload hints, delta updates over real HTTP: draft-pantos-hls-rfc8216bis 6.2."""

import asyncio

import pytest

from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import AUDIO, VIDEO, SegmentCut
from tests.support import m3u8
from tests.support.blocking import blocked, waiting
from tests.support.coded import coded, marked
from tests.support.on_air import LIVE, on_air, playlist

pytestmark = pytest.mark.integration


async def test_a_blocked_reload_is_answered_when_its_part_is_there() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        request = playlist(client, "video.m3u8", "_HLS_msn=1&_HLS_part=2")
        task = await blocked(programme.origin, request)
        await programme.publish_until(1, 1)
        assert not task.done()
        await programme.publish_until(1, 2)
        found = await task
        assert (found.open.msn, len(found.open.parts)) == (1, 3)


async def test_without_a_part_the_whole_segment_is_waited_for() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        task = await blocked(programme.origin, playlist(client, "video.m3u8", "_HLS_msn=1"))
        await programme.publish_until(1, 2)
        assert not task.done()
        await programme.publish_until(1)
        assert (await task).segments[-1].msn == 1


async def test_a_part_past_its_segment_is_part_0_of_the_next() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 1)
        request = playlist(client, "video.m3u8", "_HLS_msn=1&_HLS_part=12")
        task = await blocked(programme.origin, request)
        await programme.publish_until(1)
        assert not task.done()
        await programme.publish_until(2, 0)
        assert len((await task).open.parts) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("_HLS_part=0", 400),
        ("_HLS_msn=9", 400),
        ("_HLS_msn=1&_HLS_part=40", 400),
        ("_HLS_msn=x", 400),
        ("_HLS_msn=0", 200),
        ("_HLS_msn=0&_HLS_part=0", 200),
        ("other=1", 200),
    ],
)
async def test_directives_are_answered_at_once_where_they_can_be(query: str, status: int) -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        assert (await client.get(f"{LIVE}video.m3u8?{query}")).status_code == status


async def test_a_reload_blocked_for_three_target_durations_gets_503() -> None:
    async with on_air(target_duration_s=1) as (programme, client):
        programme.load(marked(coded(), target_duration_s=1))
        await programme.publish_until(1, 0)
        response = await client.get(LIVE + "video.m3u8?_HLS_msn=1")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert programme.origin.waiting == 0


async def test_an_ended_playlist_ignores_directives() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_rest()
        for query in ("_HLS_msn=900", "_HLS_part=1", "_HLS_skip=YES&_HLS_msn=0"):
            found = await playlist(client, "video.m3u8", query)
            assert found.ended
            assert found.skipped == 0


async def test_the_end_releases_whoever_waits() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded(seconds=4)))
        await programme.publish_until(1, 0)
        reload = await blocked(programme.origin, playlist(client, "video.m3u8", "_HLS_msn=2"))
        hinted = await blocked(programme.origin, client.get(LIVE + "k1/audio/s1.0.m4s"))
        await programme.publish_rest()
        assert (await reload).ended
        assert (await hinted).status_code == 200


async def test_a_hinted_part_is_sent_whole_once_it_is_there() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 1)
        hint = (await playlist(client, "video.m3u8")).hint
        assert hint == "k1/video/s1.2.m4s"
        task = await blocked(programme.origin, client.get(LIVE + hint))
        await programme.publish_until(1, 2)
        assert (await task).content == programme.recorder.parts[VIDEO, 1, 2][0]


@pytest.mark.parametrize(
    "name",
    ["k1/video/s1.3.m4s", "k1/video/s2.0.m4s", "k1/video/s1.m4s", "k1/video/init-1.mp4",
     "k2/video/s0.m4s", "captions.m3u8", "x", ""],
)  # fmt: skip
async def test_a_name_that_is_neither_there_nor_hinted_is_404(name: str) -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 1)
        response = await client.get(LIVE + name)
        assert response.status_code == 404
        assert response.headers["cache-control"] == "no-store"


async def test_a_hint_at_the_end_of_a_segment_is_kept_by_the_next_segment() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 9)
        hint = (await playlist(client, "video.m3u8")).hint
        assert hint == "k1/video/s1.10.m4s"
        task = await blocked(programme.origin, client.get(LIVE + hint))
        await programme.publish_until(1)
        assert (await playlist(client, "video.m3u8")).hint == hint
        assert not task.done()
        await programme.publish_until(2, 0)
        assert (await task).content == programme.recorder.parts[VIDEO, 2, 0][0]
        found = await playlist(client, "video.m3u8")
        assert [part.uri for part in found.open.parts] == [hint]
        by_number = await client.get(LIVE + "k1/video/s2.0.m4s")
        assert by_number.content == (await task).content


async def test_a_hint_that_the_end_overtakes_is_404() -> None:
    async with on_air() as (programme, client):
        items = marked(coded())
        last = max(i for i, item in enumerate(items) if isinstance(item, SegmentCut))
        await programme.publish(items[: last + 1])
        hint = (await playlist(client, "video.m3u8")).hint
        assert hint is not None
        task = await blocked(programme.origin, client.get(LIVE + hint))
        await programme.publish(items[last + 1 :])
        assert (await task).status_code == 404


async def test_a_player_that_comes_early_waits_for_the_first_segment() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        index = await blocked(programme.origin, client.get(LIVE + "index.m3u8"))
        media = await blocked(programme.origin, client.get(LIVE + "audio.m3u8"))
        await programme.publish_until(0)
        assert not media.done()
        await programme.publish_until(0, track=AUDIO)
        assert (await index).status_code == 200
        assert m3u8.parse((await media).text).segments


async def test_a_delta_update_skips_what_lies_beyond_the_boundary() -> None:
    async with on_air(target_duration_s=1) as (programme, client):
        programme.load(marked(coded(seconds=12), target_duration_s=1))
        await programme.publish_until(10)
        full = await playlist(client, "video.m3u8")
        delta = await playlist(client, "video.m3u8", "_HLS_skip=YES")
        assert delta.skipped > 0
        assert delta.skipped + len(delta.segments) == len(full.segments)
        last, same = delta.segments[-1], full.segments[-1]
        assert (last.msn, last.uri, last.parts) == (same.msn, same.uri, same.parts)


async def test_two_hundred_blocked_players_are_released_together() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        tasks = [
            asyncio.ensure_future(client.get(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1"))
            for _ in range(200)
        ]
        await waiting(programme.origin, 200)
        assert (await client.get("/healthz")).status_code == 200
        await programme.publish_until(1, 1)
        responses = await asyncio.gather(*tasks)
        assert {response.status_code for response in responses} == {200}
        assert len({response.content for response in responses}) == 1
        assert programme.origin.waiting == 0


async def test_players_that_left_while_blocked_are_cleaned_up() -> None:
    async with on_air(target_duration_s=1) as (programme, client):
        programme.load(marked(coded(), target_duration_s=1))
        await programme.publish_until(1, 0)
        host, port = client.base_url.host, client.base_url.port
        for _ in range(50):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {LIVE}video.m3u8?_HLS_msn=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await writer.drain()
            await waiting_more(programme.origin)
            writer.transport.abort()
        async with asyncio.timeout(2):  # a third of what it would wait
            await waiting(programme.origin, 0)
        await programme.publish_until(1)
        assert (await playlist(client, "video.m3u8")).segments[-1].msn == 1


async def waiting_more(origin: HlsOrigin) -> None:
    while origin.waiting == 0:
        await asyncio.sleep(0.001)


async def test_more_players_than_may_wait_are_sent_away() -> None:
    origin = HlsOrigin(max_waiting=3)
    async with on_air(origin=origin) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        url = LIVE + "video.m3u8?_HLS_msn=1"
        tasks = [asyncio.ensure_future(client.get(url)) for _ in range(3)]
        await waiting(origin, 3)
        refused = await client.get(url)
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        await programme.publish_until(1)
        assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}
