"""Replies of the origin, independent of the HTTP server, and the bytes they are made of.

Upstream: `live` and `origin` build them. Downstream: `origin` sends them by ASGI.
"""

import gzip
from dataclasses import dataclass

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


def refusal(status: int, reason: str, *, retry_after_s: int | None = None) -> Reply:
    return Reply(status, TEXT_TYPE, NO_STORE, reason.encode() + b"\n", retry_after_s=retry_after_s)


def max_age(milliseconds: int) -> bytes:
    return b"public, max-age=%d" % max(milliseconds // 1000, 0)
