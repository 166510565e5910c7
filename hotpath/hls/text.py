"""A playlist's bytes, plain and in gzip, made once for all who ask for a version, and not before.

Upstream: `playlist` and `offers` write it. Downstream: `reply` carries it.
"""

import gzip

from hotpath.hls.packing import LEVEL, Run, member


class Text:
    """A head, perhaps a long middle that many versions share, and a tail."""

    __slots__ = ("_gzipped", "_plain", "head", "older", "tail")

    def __init__(self, head: str, older: Run | None = None, tail: str = "") -> None:
        self.head = head.encode()
        self.older = older
        self.tail = tail.encode()
        self._plain: bytes | None = None
        self._gzipped: bytes | None = None

    @property
    def plain(self) -> bytes:
        if self._plain is None:
            pieces = self.older.pieces if self.older is not None else ()
            self._plain = b"".join([self.head, *[piece.plain for piece in pieces], self.tail])
        return self._plain

    @property
    def gzipped(self) -> bytes:
        if self._gzipped is None:
            if self.older is None:
                self._gzipped = gzip.compress(self.plain, LEVEL, mtime=0)
            else:
                self._gzipped = member(self.head, self.older, self.tail)
        return self._gzipped
