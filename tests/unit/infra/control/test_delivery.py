"""How finished objects are answered: types, caching, ranges, and what is nobody's."""

from dataclasses import replace

import pytest

from infra.control.delivery import deliver, program_of
from infra.keys import ProgramKey, parse
from infra.storage.objects import ObjectInfo

INFO = ObjectInfo("vod/p/ev_1/main/c0ffee/archive.mp4", 10, "abc", 0)
PROGRAM = ProgramKey("p", "ev_1")


def test_a_whole_object_may_be_kept_for_good() -> None:
    whole = deliver(INFO, {}, shared=True, saved=False)
    assert (whole.status, whole.first, whole.end) == (200, 0, 10)
    assert whole.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert whole.headers["ETag"] == '"abc"'
    assert whole.headers["Content-Length"] == "10"
    assert "Content-Disposition" not in whole.headers
    own = deliver(INFO, {}, shared=False, saved=False)
    assert own.headers["Cache-Control"].startswith("private")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("index.m3u8", "application/vnd.apple.mpegurl"),
        ("captions.vtt", "text/vtt; charset=utf-8"),
        ("sheet-0.jpg", "image/jpeg"),
        ("preview.webp", "image/webp"),
        ("replay.json", "application/json"),
    ],
)
def test_the_name_says_the_type(name: str, content_type: str) -> None:
    info = replace(INFO, key=f"vod/p/ev_1/main/c0ffee/{name}")
    assert deliver(info, {}, shared=True, saved=False).headers["Content-Type"] == content_type


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "script.js", "plain"])
def test_what_a_browser_might_run_is_only_saved(name: str) -> None:
    info = replace(INFO, key=f"vod/p/ev_1/main/c0ffee/{name}")
    headers = deliver(info, {}, shared=True, saved=False).headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"].startswith("attachment")


def test_a_download_is_named_after_its_event() -> None:
    headers = deliver(INFO, {}, shared=True, saved=True).headers
    assert headers["Content-Disposition"] == 'attachment; filename="ev_1-archive.mp4"'


@pytest.mark.parametrize(
    ("header", "status", "taken", "said"),
    [
        ("bytes=0-3", 206, (0, 4), "bytes 0-3/10"),
        ("bytes=4-", 206, (4, 10), "bytes 4-9/10"),
        ("bytes=-2", 206, (8, 10), "bytes 8-9/10"),
        ("bytes=10-", 416, (0, 0), "bytes */10"),
        ("bytes=0-1,4-5", 200, (0, 10), None),
        ("lines=1-2", 200, (0, 10), None),
    ],
)
def test_ranges(header: str, status: int, taken: tuple[int, int], said: str | None) -> None:
    found = deliver(INFO, {"range": header}, shared=True, saved=False)
    assert (found.status, (found.first, found.end)) == (status, taken)
    assert found.headers.get("Content-Range") == said


def test_a_range_of_another_version_is_the_whole_of_this_one() -> None:
    asked = {"range": "bytes=0-3", "if-range": '"other"'}
    assert deliver(INFO, asked, shared=True, saved=False).status == 200
    asked["if-range"] = '"abc"'
    assert deliver(INFO, asked, shared=True, saved=False).status == 206


@pytest.mark.parametrize("known", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
def test_what_the_client_has_is_not_sent_again(known: str) -> None:
    found = deliver(INFO, {"if-none-match": known}, shared=True, saved=False)
    assert (found.status, found.end) == (304, 0)


def test_what_viewers_may_read() -> None:
    for key in (
        "vod/p/ev_1/main/c0ffee/index.m3u8",
        "live/p/ev_1/main/i1/video/s0.m4s",
        "live/p/ev_1/main/i1/video/init-0.mp4",
        "work/p/ev_1/main/i1/poster/p5.jpg",
    ):
        assert program_of(parse(key)) == PROGRAM, key


def test_what_they_may_not() -> None:
    for key in (
        "live/p/ev_1/main/i1/manifest.json",
        "work/p/ev_1/main/i1/captions/w0.json",
        "secrets/p",
        "vod/p/ev_1/main/c0ffee/../../../../other/x",
    ):
        assert program_of(parse(key)) is None, key
