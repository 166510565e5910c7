"""Self-checking JSON lines: the journal, the part index and the acknowledgements of the spool.

Invariant: whatever is cut off or damaged at the end of a file, reading gives a prefix of the
records that were appended, never a wrong one. Each line carries the CRC-32 of the text before it:

    {"kind":"segment","rendition":"video",...,"crc":"0f3a91c2"}

Upstream: `spool_ledger` (journal), `spool_segment` (index), `uploader` (acknowledgements).
Downstream: `spool_recovery`, `spool_manifest`.
"""

import json
import os
import re
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

Record = dict[str, Any]

_TAIL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n')
_BLOCK = 4096
_TAIL_LENGTH = len(b',"crc":"00000000"}\n')


def encode(record: Mapping[str, Any]) -> bytes:
    """One line. The record must not be empty and must not use the name `crc`."""
    body = json.dumps(record, separators=(",", ":")).encode()[:-1]
    return b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def decode(line: bytes) -> Record | None:
    """The record of one line, or None if the line is torn or damaged."""
    body = _body(line)
    return None if body is None else _record(body)


def _body(line: bytes) -> bytes | None:
    """An intact line without its check and closing brace."""
    tail = _TAIL.fullmatch(line, max(0, len(line) - _TAIL_LENGTH))
    body = line[:-_TAIL_LENGTH]
    return body if tail and int(tail[1], 16) == zlib.crc32(body) else None


def _record(body: bytes) -> Record:
    record: Record = json.loads(body + b"}")
    return record


def read(path: Path) -> Iterator[Record]:
    """The intact records of a file from its start, one at a time; none if there is no file."""
    return map(_record, read_bodies(path))


def read_bodies(path: Path) -> Iterator[bytes]:
    """The same records unparsed, each without its check and closing brace.

    For readers that look for few records among very many and know how they begin.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            body = _body(line)
            if body is None:
                return
            yield body


def read_last(path: Path) -> Record | None:
    """The last record, if it is intact and shorter than a disk block."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _BLOCK))
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    return decode(lines[-1]) if lines else None


def intact_length(path: Path) -> int:
    """Bytes up to the end of the last record that `read` gives."""
    return sum(len(body) + _TAIL_LENGTH for body in read_bodies(path))


class Journal:
    """An append-only file of records that outlives torn and failed writes.

    Opening cuts off a torn tail. An append that fails (a full disk) leaves the earlier records
    readable and can be tried again. Where another thread appended between a record and its failed
    sync, the record stays, unconfirmed.

    Threads may share it: an append that is not `durable` never waits for another one's sync.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = intact_length(path)
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, *records: Mapping[str, Any], durable: bool = True) -> int:
        """Add the records, all or none; returns the bytes written. Raises OSError."""
        data = b"".join(encode(record) for record in records)
        with self._lock:
            start, end = self._end, self._end + len(data)
            write_at(self._fd, data, start)
            self._end = end
        if durable:
            try:
                os.fdatasync(self._fd)
            except OSError:
                with self._lock:
                    if self._end == end:
                        self._end = start
                raise
        return len(data)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`; on failure the file is cut back to `offset`."""
    view, position = memoryview(data), offset
    try:
        while view:
            written = os.pwrite(fd, view, position)
            view, position = view[written:], position + written
    except OSError:
        os.ftruncate(fd, offset)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file so that its name never shows anything but the complete content."""
    partial = path.with_name(path.name + ".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_at(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(partial, path)
    sync_folder(path.parent)
