"""The origin over real HTTP: draft-pantos-hls-rfc8216bis 6.2, tokens, caching, leaving clients."""

import asyncio
import gzip
import ssl
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import av
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from granian.server.embed import Server

from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer, ServerError, Tls
from hotpath.media.unit import AUDIO, VIDEO, SegmentCut
from infra.auth.tokens import ViewerClaims, issue
from tests.support import m3u8
from tests.support.coded import coded, decoded, marked
from tests.support.on_air import KEY, LIVE, on_air, playlist, running

T = TypeVar("T")
SECRET = b"s" * 32

pytestmark = pytest.mark.integration


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


async def waiting(origin: HlsOrigin, count: int) -> None:
    """Until so many requests are blocked."""
    while origin.waiting != count:
        await asyncio.sleep(0.001)


async def blocked(origin: HlsOrigin, request: Awaitable[T]) -> "asyncio.Task[T]":
    """The request as a task that has been blocked by the origin."""
    before = origin.waiting
    task = asyncio.ensure_future(request)
    await waiting(origin, before + 1)
    return task


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


def token(event: str, *, expires: int = 2_000_000_000) -> str:
    claims = ViewerClaims("acme", event, f"/live/acme/{event}", "viewer", 0, expires, "t1")
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
        # nobody tells the origin; three target durations do
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
        assert age == "public, max-age=6"
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


async def test_http_2_is_spoken_on_the_same_port() -> None:
    async with on_air() as (_, client):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        settings = b"\0\0\0\4\0\0\0\0\0"
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        header = await reader.readexactly(9)
        assert header[3] == 4  # SETTINGS
        values = await reader.readexactly(int.from_bytes(header[:3], "big"))
        pairs = {
            int.from_bytes(values[at : at + 2], "big"): int.from_bytes(
                values[at + 2 : at + 6], "big"
            )
            for at in range(0, len(values), 6)
        }
        assert pairs[3] == 1000  # MAX_CONCURRENT_STREAMS
        writer.close()
        await writer.wait_closed()


async def test_a_port_that_is_taken_is_an_error_not_a_share() -> None:
    async with on_air() as (_, client):
        second = HlsServer(HlsOrigin(), "127.0.0.1", client.base_url.port or 0)
        with pytest.raises(ServerError, match="taken"):
            second.start()


async def test_stopping_answers_whoever_waits_and_frees_the_port() -> None:
    origin = HlsOrigin()
    origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    server = HlsServer(origin, "127.0.0.1", 0, before_stop=origin.stop)
    async with httpx.AsyncClient(timeout=30) as client:
        async with running(server) as url:
            task = await blocked(origin, client.get(url + LIVE + "index.m3u8"))
        assert (await task).status_code == 503
        assert origin.waiting == 0
    again = HlsServer(origin, "127.0.0.1", server.port)
    async with running(again):
        assert again.port == server.port


async def test_a_server_that_stops_by_itself_is_an_error() -> None:
    class Watched(HlsServer):
        inner: Server

        def _server(self) -> Server:
            self.inner = super()._server()
            return self.inner

    server = Watched(HlsOrigin(), "127.0.0.1", 0)
    server.start()
    task = asyncio.create_task(server.run())
    await server.ready()
    server.inner.stop()
    with pytest.raises(ServerError, match="by itself"):
        await task


def self_signed(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = timedelta(days=1)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, secret))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return Tls(folder / "certificate.pem", folder / "key.pem")


async def test_tls_is_1_2_or_newer_and_offers_http_2(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(tls.certificate))
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = HlsServer(HlsOrigin(), "127.0.0.1", 0, tls=tls)
    async with running(server):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        secured = writer.get_extra_info("ssl_object")
        assert (secured.version(), secured.selected_alpn_protocol()) == ("TLSv1.2", "h2")
        writer.close()
        await writer.wait_closed()


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
