"""Media files in memory: put once, served until their time is up.

Invariant: the bytes held are bounded by what is listed within `WINDOW` and the retention after
that, whatever viewers do. A segment shares the bytes of its parts until it is first asked for
whole. Upstream: `holdings` puts and schedules removal. Time is an argument, in ms.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from hotpath.hls.reply import Reply


@dataclass(frozen=True, slots=True)
class Served:
    """A reply, which is right until a moment and for one time of removal."""

    reply: Reply
    until_ms: int
    expires_ms: int | None


class StoredFile:
    """One media file; joined into one piece when first asked for."""

    __slots__ = ("_chunks", "content_type", "expires_ms", "served")

    def __init__(
        self, chunks: Sequence[bytes], content_type: bytes, expires_ms: int | None
    ) -> None:
        self._chunks = tuple(chunks)
        self.content_type = content_type
        self.expires_ms = expires_ms
        """When it will be removed, or not before when that is not decided yet; None: it stays."""
        self.served: Served | None = None
        """What it was served as last."""

    @property
    def body(self) -> bytes:
        if len(self._chunks) != 1:
            self._chunks = (b"".join(self._chunks),)
        return self._chunks[0]


class Shelf:
    """Files by name."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._removals: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._files)

    def put(self, name: str, file: StoredFile) -> None:
        self._files[name] = file

    def get(self, name: str) -> StoredFile | None:
        return self._files.get(name)

    def remove_at(self, name: str, deadline_ms: int) -> None:
        """Keep the file until then, and no longer: nobody has it after that."""
        if (file := self._files.get(name)) is not None:
            file.expires_ms = deadline_ms
            self.drop_at(name, deadline_ms)

    def drop_at(self, name: str, deadline_ms: int) -> None:
        """Hold it in memory until then; it can still be had elsewhere."""
        heapq.heappush(self._removals, (deadline_ms, name))

    def next_deadline(self) -> int | None:
        """When the next file may go; None: nothing is to go."""
        return self._removals[0][0] if self._removals else None

    def expire(self, now_ms: int) -> None:
        while self._removals and self._removals[0][0] <= now_ms:
            self._files.pop(heapq.heappop(self._removals)[1], None)

    def clear(self) -> None:
        self._files.clear()
        self._removals.clear()
