"""A segment on disk until it is finished: parts appended to `.partial`, each with an `.index` line.

Invariant: a part counts once its index line is written, which happens after its bytes; whatever
the moment of a crash, `read_parts` gives every part whose `append` returned before it (before the
last `fsync` where the machine itself lost power) and nothing else.

Upstream: `spool_session` appends, `spool_ledger` finishes. Downstream: `spool_recovery` reads what
a crash left behind.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_layout import index_name, partial_name, segment_name


@dataclass(frozen=True, slots=True)
class PartInfo:
    """What the packager says of a part; times are ticks, or Unix ns where the name ends in _ns."""

    part: int
    init: int
    start: int
    duration: int
    samples: int
    independent: bool
    discontinuity_seq: int
    pdt_ns: int
    ingest_ns: int


_FIELDS = tuple(field.name for field in fields(PartInfo))


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part with its place in the file."""

    info: PartInfo
    offset: int
    length: int
    crc: int


def segment_entry(msn: int, parts: Sequence[StoredPart], duration: int | None) -> dict[str, Any]:
    """The manifest's SegmentEntry of a segment made of these parts (at least one).

    Without a `duration` the segment was cut short by a crash and is as long as its parts. A source
    that repeats a timestamp can make a segment of no length; it is given one tick.
    """
    first = parts[0].info
    if duration is None or duration <= 0:
        duration = sum(part.info.duration for part in parts)
    return {
        "msn": msn,
        "init": first.init,
        "start": first.start,
        "duration": max(duration, 1),
        "bytes": sum(part.length for part in parts),
        "samples": max(sum(part.info.samples for part in parts), 1),
        "discontinuity_seq": first.discontinuity_seq,
        "independent": first.independent,
        "pdt_ns": first.pdt_ns,
    }


class OpenSegment:
    """The segment that parts are being appended to. Every method may raise OSError."""

    def __init__(self, folder: Path, msn: int) -> None:
        self.msn = msn
        self.folder = folder
        self.parts: list[StoredPart] = []
        self._partial = folder / partial_name(msn)
        self._index = folder / index_name(msn)
        self._length = 0
        self._index_length = 0
        self._fd = self._index_fd = -1
        try:
            self._fd = _create(self._partial)
            self._index_fd = _create(self._index)
        except OSError:
            self.discard()
            raise

    def append(self, info: PartInfo, data: bytes) -> int:
        """Returns the bytes that the disk took."""
        stored = StoredPart(info, self._length, len(data), zlib.crc32(data))
        line = journal.encode(
            {
                "offset": stored.offset,
                "length": stored.length,
                "data_crc": stored.crc,
                **asdict(info),
            }
        )
        journal.write_at(self._fd, data, self._length)
        journal.write_at(self._index_fd, line, self._index_length)
        self._length += len(data)
        self._index_length += len(line)
        self.parts.append(stored)
        return len(data) + len(line)

    def close(self, duration: int | None) -> "ClosedSegment":
        """No part follows; there must be one. For `duration` see `segment_entry`."""
        self._close()
        entry = segment_entry(self.msn, self.parts, duration)
        return ClosedSegment(self.folder, entry, self.parts[0].info.ingest_ns)

    def discard(self) -> None:
        """Remove it, as far as the disk lets us: its segment is listed as a hole."""
        for step in (self._close, self._index.unlink, self._partial.unlink):
            with suppress(OSError):
                step()

    @property
    def bytes(self) -> int:
        return self._length + self._index_length

    def abandon(self) -> None:
        """Leave the files to recovery."""
        self._close()

    def _close(self) -> None:
        descriptors, self._fd, self._index_fd = (self._fd, self._index_fd), -1, -1
        for fd in descriptors:
            if fd >= 0:
                os.close(fd)


class ClosedSegment:
    """A segment that takes no more parts and waits for the disk. It holds no descriptor, so that
    many may wait. `sync` and `finish` may raise OSError."""

    def __init__(self, folder: Path, entry: dict[str, Any], ingest_ns: int) -> None:
        self.entry = entry
        self.msn: int = entry["msn"]
        self.journalled = False
        self._folder = folder
        self._partial = folder / partial_name(self.msn)
        self._index = folder / index_name(self.msn)
        self._ingest_ns = ingest_ns
        self._renamed = False

    def sync(self) -> None:
        """Make the bytes durable and stamp the file with the ingest time of its first unit."""
        fd = os.open(self._partial, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.utime(fd, ns=(self._ingest_ns, self._ingest_ns))
            # A write-back that failed earlier is told here too, though this descriptor is new.
            os.fsync(fd)
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Give the synced file its final name; the index is no longer needed. May be repeated."""
        if not self._renamed:
            os.replace(self._partial, self._folder / segment_name(self.msn))
            self._renamed = True
        journal.sync_folder(self._folder)
        self._index.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it, as far as the disk lets us: it is listed as a hole."""
        for path in (self._index, self._partial):
            with suppress(OSError):
                path.unlink()


def read_parts(folder: Path, msn: int) -> list[StoredPart]:
    """The whole parts that a crash left in `.partial`, checked against their CRC."""
    parts: list[StoredPart] = []
    end = 0
    try:
        file = (folder / partial_name(msn)).open("rb")
    except FileNotFoundError:
        return []
    with file:
        for record in journal.read(folder / index_name(msn)):
            info = PartInfo(**{name: record[name] for name in _FIELDS})
            stored = StoredPart(info, record["offset"], record["length"], record["data_crc"])
            data = file.read(stored.length)
            if stored.offset != end or len(data) != stored.length or zlib.crc32(data) != stored.crc:
                break
            end += stored.length
            parts.append(stored)
    return parts


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
