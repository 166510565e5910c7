"""The origin over real HTTP: what players find, tokens, caching, how long media stay."""

import asyncio
import gzip
import time
from typing import Any

import av
import pytest

from hotpath.hls.daterange import DateRange
from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import AUDIO, VIDEO
from infra.auth.policy import Tier
from infra.auth.tokens import ViewerClaims, issue
from infra.proxies import Proxies
from tests.support import m3u8
from tests.support.blocking import blocked
from tests.support.coded import coded, decoded, marked
from tests.support.on_air import KEY, LIVE, on_air, playlist
from tests.support.rungs import with_rungs

SECRET = b"s" * 32

pytestmark = pytest.mark.integration


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


async def test_a_player_finds_everything_that_is_listed() -> None:
    source = coded()
    async with on_air() as (programme, client):
        programme.load(marked(source))
        await programme.publish_until(1, 3)
        index = await client.get(LIVE + "index.m3u8")
        assert index.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert 'CODECS="avc1.42c00d,mp4a.40.2"' in index.text
        assert "RESOLUTION=320x180" in index.text
        assert "FRAME-RATE=30.000" in index.text
        assert 'URI="audio.m3u8"' in index.text
        assert index.text.endswith("\nvideo.m3u8\n")
        for name, kind in (("video.m3u8", "video/mp4"), ("audio.m3u8", "audio/mp4")):
            found = await playlist(client, name)
            assert found.open.parts
            for segment in [*found.segments, found.open]:
                uris = [part.uri for part in segment.parts]
                uris += [uri for uri in (segment.map, segment.uri) if uri]
                for uri in uris:
                    response = await client.get(LIVE + uri)
                    assert response.status_code == 200
                    assert response.headers["content-type"] == kind
                    assert response.headers["access-control-allow-origin"] == "*"


async def test_segments_are_their_parts_and_decode_to_the_source() -> None:
    source = coded()
    async with on_air() as (programme, client):
        programme.load(marked(source))
        await programme.publish_rest()
        for track, container in ((VIDEO, "h264"), (AUDIO, "aac")):
            found = await playlist(client, f"{track}.m3u8")
            assert found.ended
            data = (await client.get(LIVE + (found.segments[0].map or ""))).content
            for segment in found.segments:
                body = (await client.get(LIVE + (segment.uri or ""))).content
                parts = [(await client.get(LIVE + part.uri)).content for part in segment.parts]
                assert body == b"".join(parts) or not parts
                data += body
            assert decoded(data, "mp4") == decoded(source.elementary[track], container)


async def test_an_independent_player_plays_the_whole_event() -> None:
    source = coded("h264-b", "aac")
    async with on_air() as (programme, client):
        programme.load(marked(source, msn=64))
        await programme.publish_rest()

        def play(url: str) -> tuple[int, int]:
            with av.open(url, "r") as container:
                counts = {"video": 0, "audio": 0}
                for frame in container.decode(video=0, audio=0):
                    counts["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
            return counts["video"], counts["audio"]

        url = str(client.base_url.join(LIVE + "index.m3u8"))
        frames = await asyncio.to_thread(play, url)
    assert frames == (len(source.track(VIDEO)), len(source.track(AUDIO)))


async def test_text_is_gzipped_for_those_who_take_it() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        for name in ("index.m3u8", "video.m3u8"):
            plain = await client.get(LIVE + name, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers
            refused = await client.get(LIVE + name, headers={"accept-encoding": "gzip;q=0, br"})
            assert "content-encoding" not in refused.headers
            async with client.stream(
                "GET", LIVE + name, headers={"accept-encoding": "br, gzip"}
            ) as packed:
                raw = b"".join([chunk async for chunk in packed.aiter_raw()])
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
            assert gzip.decompress(raw) == plain.content
        part = await client.get(LIVE + "k1/video/s1.0.m4s", headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in part.headers


async def test_renditions_report_each_other() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 3)
        for name, sibling in (("video.m3u8", "audio.m3u8"), ("audio.m3u8", "video.m3u8")):
            found, other = await playlist(client, name), await playlist(client, sibling)
            report = m3u8.attributes(found.only("#EXT-X-RENDITION-REPORT"))
            assert report["URI"] == sibling
            assert int(report["LAST-MSN"]) == other.open.msn
            assert int(report["LAST-PART"]) == len(other.open.parts) - 1
            for tag in ("#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF"):
                assert found.only(tag) == other.only(tag)


async def test_methods() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        url = LIVE + "k1/video/s1.m4s"
        got, head = await client.get(url), await client.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
        preflight = await client.options(url)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "GET" in preflight.headers["access-control-allow-methods"]
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            refused = await client.request(method, url)
            assert refused.status_code == 405
            assert refused.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_range_of_a_file_over_http() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        url = LIVE + "k1/video/s1.m4s"
        whole = await client.get(url)
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["expires"] > ""
        part = await client.get(url, headers={"range": "bytes=8-99"})
        assert (part.status_code, part.content) == (206, whole.content[8:100])
        assert part.headers["content-range"] == f"bytes 8-99/{len(whole.content)}"
        beyond = await client.get(url, headers={"range": f"bytes={len(whole.content)}-"})
        assert beyond.status_code == 416


async def test_a_date_range_is_in_what_a_blocked_reload_gets() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        request = playlist(client, "video.m3u8", "_HLS_msn=1&_HLS_part=1&_HLS_skip=v2")
        task = await blocked(programme.origin, request)
        programme.live.set_date_range(DateRange("poll", time.time_ns(), duration_us=0))
        await programme.publish_until(1, 1)
        (line,) = (await task).tags["#EXT-X-DATERANGE"]
        assert m3u8.attributes(line)["ID"] == "poll"


@pytest.mark.parametrize(
    "path",
    ["/", "/live", "/live/acme/ev_1", "/live/acme/ev_1/main", "/live/acme/ev_2/main/index.m3u8",
     "/t/abc", "/t/abc/index.m3u8", "/favicon.ico", "/live/acme/ev_1/main/../../x"],
)  # fmt: skip
async def test_unknown_paths_are_404(path: str) -> None:
    async with on_air() as (_, client):
        response = await client.get(path)
        assert response.status_code == 404
        assert response.headers["access-control-allow-origin"] == "*"


async def test_operations_paths_share_the_port() -> None:
    origin = HlsOrigin(checks={"ingest": lambda: "the SRT port is closed"})
    async with on_air(origin=origin) as (_, client):
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"] == {"ingest": "the SRT port is closed"}
        await client.get(LIVE + "nothing")
        metrics = (await client.get("/metrics")).text
        assert 'livepath_hls_requests_total{kind="other",status="404"}' in metrics
        assert "livepath_hls_waiting 0.0" in metrics


def token(event: str, *, expires: int = 2_000_000_000, **more: Any) -> str:
    claims = ViewerClaims("acme", event, f"/live/acme/{event}", "viewer", 0, expires, "t1", **more)
    return issue(claims, SECRET, "k1")


async def test_an_event_with_tokens_opens_to_its_own_tokens_only() -> None:
    origin = HlsOrigin()
    origin.set_access({"acme": {"k1": SECRET}}, {"ev_1": "token"})
    async with on_air(origin=origin) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        assert (await client.get(LIVE + "index.m3u8")).status_code == 401
        assert (await client.get(LIVE + "k1/video/s1.m4s")).status_code == 401
        expired = f"/t/{token('ev_1', expires=1)}{LIVE}"
        assert (await client.get(expired + "index.m3u8")).status_code == 401
        assert (await client.get(f"/t/nonsense{LIVE}index.m3u8")).status_code == 401
        assert (await client.get(f"/t/{token('ev_2')}{LIVE}index.m3u8")).status_code == 403
        base = f"/t/{token('ev_1')}{LIVE}"
        index = await client.get(base + "index.m3u8")
        assert index.status_code == 200
        # the prefix covers every child URL, as they are relative
        assert "://" not in index.text
        video = m3u8.parse((await client.get(base + "video.m3u8")).text)
        for uri in (video.segments[0].map, video.segments[0].uri):
            assert (await client.get(base + (uri or ""))).status_code == 200


async def test_a_viewer_with_a_cap_gets_its_list_and_nothing_above_it() -> None:
    origin = HlsOrigin()
    origin.set_access({"acme": {"k1": SECRET}}, {"ev_1": "token"})
    async with on_air(origin=origin) as (programme, client):
        programme.load(with_rungs(marked(coded()), "720p"))
        await programme.publish_until(1)
        base = f"/t/{token('ev_1', cap='360p')}{LIVE}"
        index = await client.get(base + "index.m3u8")
        assert index.status_code == 200
        assert "720p" not in index.text
        assert index.text == (await client.get(base + "index-1080p.m3u8")).text
        for name in ("720p.m3u8", "k1/720p/s0.m4s", "k1/720p/init-0.mp4"):
            refused = await client.get(base + name)
            assert (refused.status_code, "360p" in refused.text) == (403, True)
        for name in ("video.m3u8", "audio.m3u8", "k1/video/s0.m4s"):
            assert (await client.get(base + name)).status_code == 200
        free = f"/t/{token('ev_1')}{LIVE}"
        assert "720p.m3u8" in (await client.get(free + "index.m3u8")).text
        assert (await client.get(free + "index-360p.m3u8")).text == index.text
        alone = await client.get(f"/t/{token('ev_1', tier=Tier.BACKSTAGE)}{LIVE}index.m3u8")
        assert (alone.status_code, "WebRTC" in alone.text) == (403, True)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "status"),
    [
        ((), None, {"127.0.0.0/24": 200, "192.0.2.0/24": 403}),
        ((), "192.0.2.7", {"127.0.0.0/24": 200, "192.0.2.0/24": 403}),
        (("127.0.0.1",), "192.0.2.7", {"127.0.0.0/24": 403, "192.0.2.0/24": 200}),
        (("127.0.0.1",), "192.0.2.7, 198.51.100.1", {"192.0.2.0/24": 403}),
    ],
)
async def test_a_bound_token_is_good_from_where_the_viewer_is(
    trusted: tuple[str, ...], forwarded: str | None, status: dict[str, int]
) -> None:
    origin = HlsOrigin(proxies=Proxies(trusted))
    origin.set_access({"acme": {"k1": SECRET}}, {"ev_1": "token"})
    async with on_air(origin=origin) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(0)
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        for network, expected in status.items():
            url = f"/t/{token('ev_1', network=network)}{LIVE}video.m3u8"
            assert (await client.get(url, headers=headers)).status_code == expected


async def test_media_stay_after_they_left_the_playlist_and_go_in_the_end() -> None:
    clock = Clock()
    origin = HlsOrigin(clock_ms=clock)
    async with on_air(origin=origin, target_duration_s=1) as (programme, client):
        programme.load(marked(coded(seconds=24), target_duration_s=1))
        clock.now = 1000
        await programme.publish_until(0)
        first = LIVE + "k1/video/s0.m4s"
        part = LIVE + "k1/video/s0.0.m4s"
        age = (await client.get(part)).headers["cache-control"]
        assert age == "public, max-age=6, immutable"
        for msn in range(1, 23):
            clock.now = (msn + 1) * 1000
            await programme.publish_until(msn)
            listed = [s.msn for s in (await playlist(client, "video.m3u8")).segments]
            status = (await client.get(first)).status_code
            if 0 in listed:
                assert status == 200
                left = clock.now
            elif clock.now < left + 1000 + 10_000:
                # its own duration and the longest playlist's
                assert status == 200
            # tags for 3 target durations after the segment, bytes for 3 more
            if clock.now < 7000:
                assert (await client.get(part)).status_code == 200
        assert (await client.get(part)).status_code == 404
        assert listed[0] > 0
        assert status == 404


async def test_caching_follows_what_a_url_means() -> None:
    async with on_air() as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        for query in ("", "?session=1", "?_HLS_skip=YES"):
            plain = await client.get(LIVE + "video.m3u8" + query)
            assert plain.headers["cache-control"] == "public, max-age=1"
        blocking = await client.get(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=0")
        assert blocking.headers["cache-control"] == "public, max-age=12"
        refused = await client.get(LIVE + "video.m3u8?_HLS_msn=99")
        assert refused.headers["cache-control"] == "no-store"


async def test_a_new_incarnation_takes_over_the_url() -> None:
    origin = HlsOrigin()
    async with on_air(origin=origin) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1)
        task = await blocked(origin, client.get(LIVE + "video.m3u8?_HLS_msn=2"))
        origin.open(KEY, "k2", access="public", part_target_ms=215, target_duration_s=2)
        assert (await task).status_code == 503
        # a player that still holds the old playlist can finish it
        assert (await client.get(LIVE + "k1/video/s1.m4s")).status_code == 200
        assert (await client.get(LIVE + "k1/video/s9.m4s")).status_code == 404


async def test_closing_a_programme_keeps_it_for_a_while() -> None:
    origin = HlsOrigin()
    async with on_air(origin=origin) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_rest()
        origin.close(KEY)
        assert (await playlist(client, "video.m3u8")).ended
        found = await client.get(LIVE + "k1/video/s1.m4s")
        assert decoded(
            (await client.get(LIVE + "k1/video/init-0.mp4")).content + found.content, "mp4"
        )
