from pathlib import Path

import pytest

from infra.supervisor.errors import StackError
from infra.supervisor.folder import DataFolder, last_lines, trim_log


def test_a_long_log_keeps_its_last_half_aside(tmp_path: Path) -> None:
    log = tmp_path / "media.log"
    log.write_bytes(b"a" * 60 + b"b" * 60)
    with log.open("ab") as writer:
        trim_log(log, limit=100)
        writer.write(b"c")
    assert log.read_bytes() == b"c"
    assert (tmp_path / "media.log.1").read_bytes() == b"b" * 50


def test_a_short_or_missing_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "media.log"
    trim_log(log)
    log.write_text("one\ntwo\n")
    trim_log(log, limit=100)
    assert last_lines(log, 1) == ["two"]
    assert last_lines(tmp_path / "missing") == []


def test_existing_secrets_are_kept(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.create()
    before = (folder.read_secrets(), folder.api_key.read_text())
    folder.create()
    assert (folder.read_secrets(), folder.api_key.read_text()) == before


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="--data-dir"):
        DataFolder(tmp_path / "file" / "data").create()
