"""Replies of the origin, independent of the HTTP server, and the bytes they are made of.

Upstream: `live` and `origin` build them. Downstream: `origin` sends them by ASGI.
"""

from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache

from hotpath.hls.byte_range import ByteRange
from hotpath.hls.text import Text

PLAYLIST_TYPE = b"application/vnd.apple.mpegurl"
MEDIA_TYPE = b"video/mp4"
AUDIO_TYPE = b"audio/mp4"
TEXT_TYPE = b"text/plain; charset=utf-8"
NO_STORE = b"no-store"


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

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.plain

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
