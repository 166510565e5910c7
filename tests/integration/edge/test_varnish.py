"""The edge: a real Varnish with our VCL in front of a real origin."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias

import pytest

from edge.varnish import Varnish
from infra.auth.policy import Tier
from tests.support import m3u8
from tests.support.behind_varnish import CHECK_S, EdgeUnderTest, behind, varnish_before_a_port
from tests.support.blocking import waiting
from tests.support.coded import coded, marked
from tests.support.on_air import LIVE
from tests.support.rungs import with_rungs

pytestmark = pytest.mark.integration

VIEWERS = 50
PLAYLIST = "video.m3u8"
OnEdge: TypeAlias = Callable[..., AbstractAsyncContextManager[EdgeUnderTest]]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Varnish, int]]:
    with varnish_before_a_port() as found:
        yield found


@pytest.fixture
def on_edge(shared: tuple[Varnish, int]) -> OnEdge:
    return partial(behind, *shared)


async def test_blocked_viewers_are_one_request_for_each_playlist_and_part(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        viewers = [f"viewer-{n}" for n in range(VIEWERS)]
        for part in (1, 2):
            asked, asleep = len(edge.requests.media), edge.varnish.counter("MAIN.busy_sleep")
            query = f"{PLAYLIST}?_HLS_msn=1&_HLS_part={part}"
            reloads = [
                asyncio.ensure_future(edge.client.get(edge.path(viewer, query)))
                for viewer in viewers
            ]
            await edge.sleeping(asleep + VIEWERS - 1)
            await waiting(edge.programme.origin, 1)
            await edge.programme.publish_until(1, part)
            answers = await asyncio.gather(*reloads)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.content for answer in answers}) == 1
            assert len(m3u8.parse(answers[0].text).open.parts) == part + 1
            assert edge.requests.media[asked:] == [LIVE + query]


async def test_viewers_of_a_hinted_part_are_one_request(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        listed = m3u8.parse((await edge.client.get(edge.path("anna", PLAYLIST))).text)
        hint = listed.hint
        assert hint is not None
        asked, asleep = len(edge.requests.media), edge.varnish.counter("MAIN.busy_sleep")
        fetches = [
            asyncio.ensure_future(edge.client.get(edge.path(f"viewer-{n}", hint)))
            for n in range(VIEWERS)
        ]
        await edge.sleeping(asleep + VIEWERS - 1)
        await edge.programme.publish_until(1, 1)
        answers = await asyncio.gather(*fetches)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert edge.requests.media[asked:] == [LIVE + hint]


async def cached(edge: EdgeUnderTest) -> None:
    """A whole segment and a playlist, which a viewer who may has fetched."""
    await edge.programme.publish_until(1, 0)
    for name in (PLAYLIST, "k1/video/s0.m4s"):
        assert (await edge.client.get(edge.path("anna", name))).status_code == 200


@pytest.mark.parametrize("name", [PLAYLIST, "k1/video/s0.m4s"])
async def test_what_is_cached_is_for_those_who_may_watch(on_edge: OnEdge, name: str) -> None:
    async with on_edge() as edge:
        await cached(edge)
        asked = len(edge.requests.media)
        other = edge.token("anna", event="ev_2")
        for prefix, status in (("", 401), ("/t/rubbish", 401), (f"/t/{other}", 403)):
            answer = await edge.client.get(f"{prefix}{LIVE}{name}")
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["access-control-allow-origin"] == "*"
        assert (await edge.client.get(edge.path("bert", name))).status_code == 200
        assert len(edge.requests.media) == asked


async def until_refused(edge: EdgeUnderTest, url: str) -> float:
    """Seconds until a viewer who goes on asking gets 401."""
    began = time.monotonic()
    while (answer := await edge.client.get(url)).status_code == 200:
        assert time.monotonic() < began + 20, "the session went on"
        await asyncio.sleep(0.02)
    assert answer.status_code == 401
    return time.monotonic() - began


async def test_revocation_ends_a_running_session_within_the_age_of_a_check(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await cached(edge)
        edge.revoke()
        took = await until_refused(edge, edge.path("anna", PLAYLIST))
        assert took < CHECK_S + 3  # the machine may be busy


async def test_a_session_ends_with_its_token(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        url = f"/t/{edge.token('anna', lasts_s=5)}{LIVE}{PLAYLIST}"
        assert (await edge.client.get(url)).status_code == 200
        edge.clock.now += 5
        await until_refused(edge, url)


async def test_a_public_event_needs_no_token(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 0)
        assert (await edge.client.get(LIVE + PLAYLIST)).status_code == 200
        assert (await edge.client.get(f"/t/rubbish{LIVE}{PLAYLIST}")).status_code == 200
        assert edge.requests.media == [LIVE + PLAYLIST]


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/edge/check",
        f"/edge/check{LIVE[:-1]}",
        f"{LIVE}whep",
        f"{LIVE}..%2f..%2fmetrics",
        "/t/a%2Fb/live/acme/ev_1/main/video.m3u8",
        f"//{LIVE}{PLAYLIST}",
    ],
)
async def test_nothing_else_of_the_origin_can_be_reached(on_edge: OnEdge, path: str) -> None:
    async with on_edge("public") as edge:
        assert (await edge.client.get(edge.varnish.url + path)).status_code == 404
        assert edge.requests.seen == []


async def test_a_viewer_cannot_pose_as_the_edge(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await cached(edge)
        forged = {"X-Live-Url": LIVE + PLAYLIST, "X-Livepath-Edge": "the-secret-of-another"}
        assert (await edge.client.get(LIVE + PLAYLIST, headers=forged)).status_code == 401
        answer = await edge.client.get(edge.origin_url + LIVE + PLAYLIST, headers=forged)
        assert answer.status_code == 401


async def test_only_directives_make_another_playlist(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 1)
        queries = (
            *("_HLS_msn=1&_HLS_part=0", "_HLS_part=0&_HLS_msn=1"),
            *("_HLS_msn=1&a=1&_HLS_part=0&z=2", "A=3&_HLS_msn=1&_HLS_part=0&"),
        )
        for query in queries:
            answer = await edge.client.get(f"{LIVE}{PLAYLIST}?{query}")
            assert answer.status_code == 200
        await edge.client.get(f"{LIVE}{PLAYLIST}?_HLS_msn=1&_HLS_part=0&_HLS_skip=YES")
        await edge.client.get(f"{LIVE}{PLAYLIST}?session=5")
        await edge.client.get(f"{LIVE}k1/video/s0.m4s?session=5")
        assert edge.requests.media == [
            f"{LIVE}{PLAYLIST}?_HLS_msn=1&_HLS_part=0",
            f"{LIVE}{PLAYLIST}?_HLS_msn=1&_HLS_part=0&_HLS_skip=YES",
            LIVE + PLAYLIST,
            f"{LIVE}k1/video/s0.m4s",
        ]


async def test_what_was_too_early_is_there_once_it_is_there(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 0)
        part = f"{LIVE}k1/video/s1.3.m4s"
        assert (await edge.client.get(part)).status_code == 404
        await edge.programme.publish_until(1, 3)
        assert (await edge.client.get(part)).status_code == 200


async def test_viewers_who_waited_in_vain_share_one_answer(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        asked, asleep = len(edge.requests.media), edge.varnish.counter("MAIN.busy_sleep")
        query = f"{PLAYLIST}?_HLS_msn=1&_HLS_part=1"
        reloads = [
            asyncio.ensure_future(edge.client.get(edge.path(f"viewer-{n}", query)))
            for n in range(VIEWERS)
        ]
        await edge.sleeping(asleep + VIEWERS - 1)
        edge.programme.origin.stop()
        answers = await asyncio.gather(*reloads)
        assert {answer.status_code for answer in answers} == {503}
        assert len(edge.requests.media) == asked + 1


async def test_text_is_sent_as_the_client_can_read_it(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 0)
        packed = await edge.client.get(LIVE + PLAYLIST, headers={"accept-encoding": "gzip"})
        plain = await edge.client.get(LIVE + PLAYLIST, headers={"accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.text == plain.text
        assert len(edge.requests.media) == 1


async def test_ranges_are_cut_from_the_one_file_that_is_cached(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 0)
        url = f"{LIVE}k1/video/s0.m4s"
        middle = await edge.client.get(url, headers={"range": "bytes=10-19"})
        whole = await edge.client.get(url)
        assert (middle.status_code, whole.status_code) == (206, 200)
        assert middle.content == whole.content[10:20]
        assert edge.requests.media == [url]


async def test_other_methods(on_edge: OnEdge) -> None:
    async with on_edge("public") as edge:
        await edge.programme.publish_until(1, 0)
        head = await edge.client.head(LIVE + PLAYLIST)
        assert (head.status_code, head.content) == (200, b"")
        preflight = await edge.client.options(LIVE + PLAYLIST)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert (await edge.client.post(LIVE + PLAYLIST)).status_code == 405


async def test_viewers_with_a_cap_share_one_list_and_get_nothing_above_it(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        edge.programme.load(with_rungs(marked(coded()), "720p"))
        await edge.programme.publish_until(1, 0)
        capped = [f"/t/{edge.token(name, cap='360p')}{LIVE}" for name in ("anna", "bert")]
        lists = [(await edge.client.get(f"{base}index.m3u8")).text for base in capped]
        assert lists[0] == lists[1]
        assert "720p.m3u8" not in lists[0]
        assert "video.m3u8" in lists[0]
        assert edge.requests.media == [f"{LIVE}index-360p.m3u8"]
        assert "720p.m3u8" in (await edge.client.get(edge.path("carl", "index.m3u8"))).text
        for name in ("720p.m3u8", "k1/720p/s0.m4s"):
            assert (await edge.client.get(edge.path("carl", name))).status_code == 200
            refused = await edge.client.get(capped[0] + name)
            assert refused.status_code == 403
            assert "360p" in refused.text
        asked = len(edge.requests.media)
        for base in capped:
            assert (await edge.client.get(f"{base}k1/video/s0.m4s")).status_code == 200
        assert edge.requests.media[asked:] == [f"{LIVE}k1/video/s0.m4s"]


async def test_captions_are_shared_and_for_those_who_may_watch(on_edge: OnEdge) -> None:
    async with on_edge(captions=True) as edge:
        edge.programme.load(with_rungs(marked(coded()), "720p"))
        await edge.programme.publish_until(1, 0)
        listed = m3u8.parse((await edge.client.get(edge.path("anna", "captions.m3u8"))).text)
        (name,) = [segment.uri for segment in listed.segments]
        assert name == "k1/captions/s0.vtt"
        asked = len(edge.requests.media)
        capped = f"/t/{edge.token('bert', cap='360p')}{LIVE}{name}"
        for url in (edge.path("anna", name), capped):
            answer = await edge.client.get(url)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/vtt"
            assert answer.headers["cache-control"].endswith("immutable")
            assert answer.text.startswith("WEBVTT")
        assert edge.requests.media[asked:] == [LIVE + name]
        assert (await edge.client.get(LIVE + name)).status_code == 401


async def test_a_token_bound_to_an_address_is_good_from_there(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        for network, status in (("127.0.0.0/24", 200), ("192.0.2.0/24", 403)):
            path = f"/t/{edge.token('anna', network=network)}{LIVE}{PLAYLIST}"
            lied = {"X-Livepath-Viewer": "192.0.2.1"}
            assert (await edge.client.get(path, headers=lied)).status_code == status


async def test_a_tier_that_watches_by_webrtc_alone_is_refused(on_edge: OnEdge) -> None:
    async with on_edge() as edge:
        await edge.programme.publish_until(1, 0)
        path = f"/t/{edge.token('anna', tier=Tier.BACKSTAGE)}{LIVE}{PLAYLIST}"
        assert (await edge.client.get(path)).status_code == 403
