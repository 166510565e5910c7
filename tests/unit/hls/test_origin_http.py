"""HTTP of media files at the origin: HEAD, byte ranges, CORS. RFC 9110."""

import pytest

from tests.support.made_up import LIVE, MadeUp

SEGMENT = LIVE + "k1/video/s0.m4s"
WHOLE = b"".join(b"s0.%d;" % part for part in range(10))


def programme() -> MadeUp:
    made_up = MadeUp()
    made_up.segment(0)
    return made_up


async def test_a_range_of_a_file() -> None:
    found = await programme().ask(SEGMENT, range="bytes=5-9")
    assert (found.status, found.body) == (206, WHOLE[5:10])
    assert found.headers["content-range"] == "bytes 5-9/50"
    assert found.headers["content-length"] == "5"
    assert found.headers["content-type"] == "video/mp4"
    assert {"expires", "cache-control"} <= found.headers.keys()


async def test_a_range_that_the_file_does_not_have() -> None:
    found = await programme().ask(SEGMENT, range="bytes=50-")
    assert found.status == 416
    assert found.headers["content-range"] == "bytes */50"
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=0-1,4-5"},
        {"range": "items=0-1"},
        # Files have no validator that could be the same.
        {"range": "bytes=0-1", "if_range": '"x"'},
        {"if_range": '"x"', "range": "bytes=0-1"},
    ],
)
async def test_what_has_to_be_ignored_gets_the_whole_file(headers: dict[str, str]) -> None:
    found = await programme().ask(SEGMENT, **headers)
    assert (found.status, found.body) == (200, WHOLE)
    assert found.headers["accept-ranges"] == "bytes"
    assert "content-range" not in found.headers


async def test_a_range_is_for_get() -> None:
    found = await programme().ask(SEGMENT, "HEAD", range="bytes=0-1")
    assert (found.status, found.body) == (200, b"")
    assert found.headers["content-length"] == "50"


@pytest.mark.parametrize("url", [SEGMENT, LIVE + "video.m3u8", LIVE + "index.m3u8", LIVE + "no"])
async def test_head_has_the_headers_of_get(url: str) -> None:
    made_up = programme()
    got, head = await made_up.ask(url), await made_up.ask(url, "HEAD")
    assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


async def test_playlists_are_sent_whole() -> None:
    found = await programme().ask(LIVE + "video.m3u8", range="bytes=0-1")
    assert found.status == 200
    assert "accept-ranges" not in found.headers


async def test_scripts_may_read_what_players_need() -> None:
    found = await programme().ask(SEGMENT, origin="https://example.com")
    assert found.headers["access-control-allow-origin"] == "*"
    exposed = set(found.headers["access-control-expose-headers"].split(", "))
    assert {"content-range", "accept-ranges", "date", "age", "retry-after"} <= exposed
    preflight = await programme().ask(SEGMENT, "OPTIONS", origin="https://example.com")
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-headers"] == "*"
