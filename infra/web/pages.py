"""The pages for people: start page, player, VOD page, publish page, operator page, static files and
a clock.

Invariant: a page loads code, styles and fonts only from this server, and media only over HTTP from
where the playback API says; the content security policy enforces it. Upstream: `infra.control`
mounts `router`. Downstream: the ES modules in `static/`, which talk to `/v1/playback/{event}` and
`GET /v1/publish/{event}`, and those in `static/operator/`, which talk to the API with a key.

The pages hold no data of an event: they are the same bytes for everybody, so they cache well and a
viewer's or publisher's token, which travels in the URL fragment, never reaches this code.
"""

import hashlib
import html
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from types import MappingProxyType

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from infra.web.build import installed

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# Media come from another origin (media node or CDN) that the page learns at run time, hence the
# schemes in connect-src and media-src; scripts, styles and frames do not have that freedom.
_RULES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self' http: https:",
    "media-src 'self' blob: http: https:",
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
)
POLICY = "; ".join((*_RULES, "frame-ancestors *"))
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Small and the entry to everything else: always revalidated, so an upgrade shows at once.
    "Cache-Control": "no-cache",
}
# Nobody may lay the page that opens a camera under a page of theirs.
PUBLISH_HEADERS = {
    "Content-Security-Policy": "; ".join((*_RULES, "frame-ancestors 'self'")),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
}
# Pictures of a recording come from where its media do; hls.js begins captions with a data URL.
VOD_HEADERS = {
    "Content-Security-Policy": POLICY.replace("img-src", "img-src http: https:").replace(
        "media-src", "media-src data:"
    ),
}
# Nobody may lay the page that holds an API key under a page of theirs; it sends it only here.
# Its pictures come from the object store.
OPERATOR_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: http: https:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
}
IMMUTABLE = "public, max-age=31536000, immutable"
VENDOR_MISSING = (
    "the player's browser libraries are not installed; run `python -m infra.web.build` once"
)

router = APIRouter(include_in_schema=False)


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """Every file that may be served, by its URL path below `/static/`; nothing else exists."""
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in STATIC.rglob("*")
        if path.is_file() and path.suffix in CONTENT_TYPES and path.suffix != ".html"
    }


@lru_cache(maxsize=256)
def _etag(path: Path, modified_ns: int, size: int) -> str:
    return f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:20]}"'


def _page(
    name: str, request: Request, more: Mapping[str, str] = MappingProxyType({}), **values: str
) -> Response:
    text = Template((STATIC / name).read_text(encoding="utf-8")).substitute(values)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
    headers = {**PAGE_HEADERS, **more, "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(text, headers=headers)


@router.get("/")
def start_page(request: Request) -> Response:
    """How to get a first picture on this server."""
    return _page("index.html", request, origin=html.escape(str(request.base_url).rstrip("/")))


@router.get("/watch/{event}")
def watch_page(event: str, request: Request) -> Response:
    """The player of an event; the page asks the API itself."""
    return _page("watch.html", request, vendor=installed() or "missing")


@router.get("/vod/{event}")
def vod_page(event: str, request: Request) -> Response:
    """The player of a recording; the page asks the API itself."""
    return _page("vod.html", request, VOD_HEADERS, vendor=installed() or "missing")


@router.get("/publish/{event}")
def publish_page(event: str, request: Request) -> Response:
    """Publishes a camera or a screen to an event; the page asks the API itself."""
    return _page("publish.html", request, PUBLISH_HEADERS)


@router.get("/operator")
def operator_page(request: Request) -> Response:
    """Looks after a project's events; the page asks for an API key, and the API itself."""
    return _page("operator.html", request, OPERATOR_HEADERS)


@router.get("/clock")
def clock() -> JSONResponse:
    """This server's wall clock, against which a player measures its latency."""
    return JSONResponse(
        {"unix_ms": time.time_ns() // 1_000_000}, headers={"Cache-Control": "no-store"}
    )


@router.get("/static/{name:path}")
def static_file(name: str, request: Request) -> Response:
    """One file of `static/`, revalidated by ETag, or cached for good when its URL is versioned."""
    path = _files().get(name)
    if path is None and name.startswith("vendor/"):
        # It may have been installed after this process started.
        _files.cache_clear()
        path = _files().get(name)
    if path is None:
        raise HTTPException(404, VENDOR_MISSING if name.startswith("vendor/") else "no such file")
    stat = path.stat()
    etag = _etag(path, stat.st_mtime_ns, stat.st_size)
    versioned = name.startswith("vendor/") and request.query_params.get("v") == installed()
    headers = {
        "ETag": etag,
        "Cache-Control": IMMUTABLE if versioned else "no-cache",
        "X-Content-Type-Options": "nosniff",
        # Embedding pages may load the player's code; it holds no data of a viewer.
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type=CONTENT_TYPES[path.suffix], headers=headers)
