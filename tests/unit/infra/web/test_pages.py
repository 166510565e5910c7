"""The pages over HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.web import pages

PAGES = ("/", "/watch/ev_a", "/vod/ev_a", "/publish/ev_a", "/operator")


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(pages.router)
    with TestClient(app) as client:
        yield client


def test_watch_page_is_the_same_for_every_event(client: TestClient) -> None:
    one, other = client.get("/watch/ev_a"), client.get("/watch/ev_b")
    assert one.status_code == 200
    assert one.text == other.text
    assert one.headers["content-type"] == "text/html; charset=utf-8"


def test_everything_a_page_loads_is_served_here(client: TestClient) -> None:
    for page in PAGES:
        loaded = re.findall(r'(?:src|href)="([^"#]+)"', client.get(page).text)
        assert loaded
        assert not [url for url in loaded if "//" in url]
        for url in loaded:
            if url.startswith("/static/"):
                assert client.get(url).status_code == 200, url


def test_modules_import_only_files_that_exist(client: TestClient) -> None:
    for path in (*pages.STATIC.glob("*.js"), *pages.STATIC.glob("operator/*.js")):
        folder = path.parent.relative_to(pages.STATIC).as_posix()
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            response = client.get(f"/static/{folder}/{name}".replace("/./", "/"))
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/javascript")


def test_policy_allows_code_only_from_this_server(client: TestClient) -> None:
    policy = dict(
        item.split(" ", 1)
        for item in client.get("/watch/ev_a").headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert "unsafe" not in str(policy)


def test_vod_page_takes_pictures_from_where_its_media_are_and_code_from_here(
    client: TestClient,
) -> None:
    policy = client.get("/vod/ev_a").headers["content-security-policy"].split("; ")
    rules = dict(item.split(" ", 1) for item in policy)
    assert "https:" in rules["img-src"]
    assert rules["script-src"] == "'self'"
    assert client.get("/vod/ev_a/x").status_code == 404


def test_page_has_no_inline_code_that_the_policy_would_block(client: TestClient) -> None:
    for page in PAGES:
        text = client.get(page).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert not re.search(r"\s(?:style|on\w+)=", text)


def test_publish_page_is_framed_by_nobody_and_keeps_the_camera_to_itself(
    client: TestClient,
) -> None:
    headers = client.get("/publish/ev_a").headers
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "camera=(self)" in headers["permissions-policy"]
    assert "frame-ancestors *" in client.get("/watch/ev_a").headers["content-security-policy"]


def test_operator_page_is_framed_by_nobody_and_talks_to_this_server_alone(
    client: TestClient,
) -> None:
    policy = client.get("/operator").headers["content-security-policy"].split("; ")
    rules = dict(item.split(" ", 1) for item in policy)
    assert rules["frame-ancestors"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["script-src"] == rules["style-src"] == "'self'"


def test_operator_page_makes_no_markup_of_texts() -> None:
    for path in pages.STATIC.glob("operator/*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), path


@pytest.mark.parametrize(
    "url", ["/watch/ev_a", "/publish/ev_a", "/static/player.js", "/static/player.css"]
)
def test_unversioned_files_are_revalidated(client: TestClient, url: str) -> None:
    first = client.get(url)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


def test_vendor_file_is_cached_for_good_under_its_version_only(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "hls.min.mjs").write_text("export default 1;\n")
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    monkeypatch.setattr(pages, "installed", lambda: "abc")
    pages._files.cache_clear()
    try:
        current = client.get("/static/vendor/hls.min.mjs?v=abc")
        old = client.get("/static/vendor/hls.min.mjs?v=old")
    finally:
        pages._files.cache_clear()
    assert "immutable" in current.headers["cache-control"]
    assert old.headers["cache-control"] == "no-cache"


def test_missing_vendor_file_says_how_to_install_it(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    pages._files.cache_clear()
    try:
        response = client.get("/static/vendor/hls.min.mjs")
    finally:
        pages._files.cache_clear()
    assert response.status_code == 404
    assert "python -m infra.web.build" in response.text


@pytest.mark.parametrize(
    "path",
    ["../pages.py", "..%2fpages.py", "watch.html", "nothing.js", "%2e%2e/settings.py", ""],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_start_page_names_this_server_and_escapes_it(client: TestClient) -> None:
    text = client.get("/", headers={"Host": "live.example:8080"}).text
    assert "curl -s http://live.example:8080/v1/events" in text
    hostile = client.get("/", headers={"Host": 'x"><script>alert(1)</script>'})
    assert "<script>" not in hostile.text


def test_clock_is_never_cached(client: TestClient) -> None:
    response = client.get("/clock")
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["unix_ms"] > 1_700_000_000_000
