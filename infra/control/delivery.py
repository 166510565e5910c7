"""How a finished object is answered over HTTP: status, headers and which bytes; pure.

Invariant: nothing that a browser would run is ever named as such: a type comes from a short list by
the name's ending, and what is not on it is only saved. Objects are named by their content, so
every answer may be kept for good.

Upstream: `routes.objects`. Spec: RFC 9110 13 and 14.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.byte_range import requested
from infra.keys import InitKey, ObjectKey, ProgramKey, SegmentKey, VodKey, WorkKey
from infra.storage.objects import ObjectInfo

CONTENT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mp4": "video/mp4",
    "m4s": "video/mp4",
    "vtt": "text/vtt; charset=utf-8",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}
_FOR_VIEWERS = "poster"
"""Of what is made while live, only that."""
_KEPT = "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to answer; the body is bytes `first` up to and without `end`."""

    status: int
    headers: Mapping[str, str]
    first: int = 0
    end: int = 0


def program_of(key: ObjectKey | None) -> ProgramKey | None:
    """The programme whose viewers may read the object; None: nobody may."""
    if isinstance(key, VodKey | SegmentKey | InitKey):
        return key.program
    if isinstance(key, WorkKey) and key.kind == _FOR_VIEWERS:
        return key.program
    return None


def deliver(info: ObjectInfo, request: Mapping[str, str], *, shared: bool, saved: bool) -> Delivery:
    """The answer to a request with these headers (names in lower case).

    `shared`: every viewer has the same URL. `saved`: a browser is to save it.
    """
    etag = f'"{info.etag}"'
    name = info.key.rsplit("/", 1)[-1]
    content_type = CONTENT_TYPES.get(name.rsplit(".", 1)[-1])
    headers = {
        "Content-Type": content_type or "application/octet-stream",
        "Cache-Control": f"{'public' if shared else 'private'}, {_KEPT}",
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if saved or content_type is None:
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(info.key, name)}"'
    if _matches(request.get("if-none-match"), etag):
        return Delivery(304, headers)
    # A range of what the client has another version of would be of no use to it (13.1.5).
    fresh = request.get("if-range", etag) == etag
    wanted = requested(request.get("range", "").encode(), info.bytes) if fresh else None
    if wanted is None:
        return Delivery(200, headers | {"Content-Length": str(info.bytes)}, 0, info.bytes)
    if not wanted.satisfiable:
        return Delivery(416, headers | {"Content-Range": f"bytes */{info.bytes}"})
    headers["Content-Range"] = f"bytes {wanted.first}-{wanted.end - 1}/{info.bytes}"
    headers["Content-Length"] = str(wanted.end - wanted.first)
    return Delivery(206, headers, wanted.first, wanted.end)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    known = {part.strip().removeprefix("W/") for part in header.split(",")}
    return etag in known or "*" in known


def _file_name(key: str, name: str) -> str:
    """The event's id in front: all archives are called alike. Keys hold no quotes."""
    return f"{key.split('/')[2]}-{name}"
