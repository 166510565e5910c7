"""Replies of the origin, independent of the HTTP server, and the bytes they are made of.

Upstream: `live` and `origin` build them. Downstream: `origin` sends them by ASGI.
"""

import gzip
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache

from hotpath.hls.byte_range import ByteRange

PLAYLIST_TYPE = b"application/vnd.apple.mpegurl"
MEDIA_TYPE = b"video/mp4"
AUDIO_TYPE = b"audio/mp4"
TEXT_TYPE = b"text/plain; charset=utf-8"
NO_STORE = b"no-store"
GZIP_LEVEL = 5


@dataclass(frozen=True, slots=True)
class Text:
    """A playlist's bytes, compressed once for all who ask for this version."""

    plain: bytes
    gzipped: bytes

    @classmethod
    def of(cls, text: str) -> "Text":
        plain = text.encode()
        return cls(plain, gzip.compress(plain, GZIP_LEVEL, mtime=0))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: bytes
    cache_control: bytes
    body: bytes
    gzipped: bytes | None = None
    """The same body for clients that accept gzip."""
    retry_after_s: int | None = None
    expires: bytes | None = None
    """A media file's, as an HTTP date; ranges of its bytes may be asked for."""
    content_range: bytes | None = None

    def part(self, wanted: ByteRange) -> "Reply":
        """206 with the bytes wanted, or 416."""
        length = len(self.body)
        if not wanted.satisfiable:
            reply = refusal(416, f"the file has {length} bytes")
            return replace(reply, content_range=b"bytes */%d" % length)
        return replace(
            self,
            status=206,
            body=self.body[wanted.first : wanted.end],
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
