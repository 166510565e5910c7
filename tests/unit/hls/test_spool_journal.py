import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls import spool_journal
from hotpath.hls.spool_journal import Journal, decode, encode, read, read_last

_VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
_NAMES = st.text(min_size=1).filter(lambda name: name != "crc")
_RECORDS = st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4)


@given(_RECORDS)
def test_a_record_comes_back_as_it_was(record: dict[str, object]) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == record


@given(st.lists(_RECORDS, max_size=6), st.data())
def test_a_file_cut_anywhere_gives_the_records_before_the_cut(
    records: list[dict[str, object]], data: st.DataObject
) -> None:
    lines = [encode(record) for record in records]
    content = b"".join(lines)
    cut = data.draw(st.integers(0, len(content)))
    whole = next(n for n in range(len(lines), -1, -1) if len(b"".join(lines[:n])) <= cut)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        path.write_bytes(content[:cut])
        assert list(read(path)) == records[:whole]


@given(st.lists(_RECORDS, min_size=1, max_size=6), st.data())
def test_a_damaged_byte_ends_the_file_before_its_line(
    records: list[dict[str, object]], data: st.DataObject
) -> None:
    lines = [encode(record) for record in records]
    content = bytearray(b"".join(lines))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    intact = next(n for n in range(len(lines), -1, -1) if len(b"".join(lines[:n])) <= at)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        path.write_bytes(content)
        assert list(read(path)) == records[:intact]


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none")) == []
    assert read_last(tmp_path / "none") is None


def test_opening_cuts_a_torn_tail_off_and_goes_on_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(encode({"n": 1}) + encode({"n": 2})[:-5])
    with Journal(path) as journal:
        journal.append({"n": 3}, {"n": 4})
    assert list(read(path)) == [{"n": 1}, {"n": 3}, {"n": 4}]


def test_an_append_that_the_disk_refuses_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_then_full(fd: int, data: bytes, offset: int, real=os.pwrite) -> int:  # type: ignore[no-untyped-def]
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(real(fd, data[: len(data) // 2], offset))

    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append({"n": 1})
        with monkeypatch.context() as patch:
            patch.setattr(spool_journal.os, "pwrite", half_then_full)
            with pytest.raises(OSError, match="No space"):
                journal.append({"n": 2})
        assert path.read_bytes() == encode({"n": 1})
        journal.append({"n": 2})
    assert list(read(path)) == [{"n": 1}, {"n": 2}]


def test_the_last_record_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(*({"n": n} for n in range(1000)))
    assert read_last(path) == {"n": 999}
    path.write_bytes(path.read_bytes()[:-1])
    assert read_last(path) is None
