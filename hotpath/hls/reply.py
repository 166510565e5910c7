"""Replies of the origin, independent of the HTTP server, and the bytes they are made of.

Upstream: `live` and `origin` build them. Downstream: `origin` sends them as responses.
"""

from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache

from hotpath.hls.exchange import Header, Response
from hotpath.hls.text import Text
from infra.byte_range import ByteRange

PLAYLIST_TYPE = b"application/vnd.apple.mpegurl"
MEDIA_TYPE = b"video/mp4"
AUDIO_TYPE = b"audio/mp4"
TEXT_TYPE = b"text/plain; charset=utf-8"
NO_STORE = b"no-store"

CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"content-length, content-range, accept-ranges, date, age, retry-after",
    ),
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: bytes
    cache_control: bytes
    content: bytes | Text
    retry_after_s: int | None = None
    expires: bytes | None = None
    """A media file's, as an HTTP date; ranges of its bytes may be asked for."""
    content_range: bytes | None = None
    allow: bytes | None = None
    """Methods, where another one was used."""
    _responses: dict[bool, Response] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.plain

    def response(self, gzip: bool) -> Response:
        """For a client that accepts gzip, or does not; built once for all of them."""
        found = self._responses.get(gzip)
        if found is None:
            found = self._responses[gzip] = self._response(gzip)
        return found

    def _response(self, gzip: bool) -> Response:
        headers = [
            (b"content-type", self.content_type),
            (b"cache-control", self.cache_control),
            *CORS,
        ]
        if isinstance(self.content, bytes):
            body = self.content
        else:
            body = self.content.gzipped if gzip else self.content.plain
            headers.append((b"vary", b"accept-encoding"))
            if gzip:
                headers.append((b"content-encoding", b"gzip"))
        if self.allow is not None:
            headers.append((b"allow", self.allow))
        if self.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_s))
        if self.expires is not None:
            headers += ((b"expires", self.expires), (b"accept-ranges", b"bytes"))
        if self.content_range is not None:
            headers.append((b"content-range", self.content_range))
        headers.append((b"content-length", b"%d" % len(body)))
        return Response(self.status, tuple(headers), body)

    def part(self, wanted: ByteRange) -> "Reply":
        """206 with the bytes wanted, or 416."""
        length = len(self.body)
        if not wanted.satisfiable:
            reply = refusal(416, f"the file has {length} bytes")
            return replace(reply, content_range=b"bytes */%d" % length)
        return replace(
            self,
            status=206,
            content=self.body[wanted.first : wanted.end],
            content_range=b"bytes %d-%d/%d" % (wanted.first, wanted.end - 1, length),
        )


def refusal(status: int, reason: str, *, retry_after_s: int | None = None) -> Reply:
    return Reply(status, TEXT_TYPE, NO_STORE, reason.encode() + b"\n", retry_after_s=retry_after_s)


def max_age(milliseconds: int) -> bytes:
    return b"public, max-age=%d" % max(milliseconds // 1000, 0)


@lru_cache(maxsize=1024)
def http_date(unix_s: int) -> bytes:
    """RFC 9110 5.6.7."""
    return formatdate(unix_s, usegmt=True).encode()
