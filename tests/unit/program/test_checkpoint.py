"""Durable numbers: never reused, replaced as a whole, readable after anything."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.program import checkpoint as files
from hotpath.program.checkpoint import Checkpoint, load_all, next_incarnation, save
from infra.keys import ProgramKey

KEY = ProgramKey("acme", "ev_1", "main")


def made(**changes: object) -> Checkpoint:
    given: dict[str, object] = {
        "incarnation": "a",
        "msn_reserved": 0,
        "discontinuity_seq": 0,
        "epoch_ns": 1,
        "target_duration_s": 2,
        "open": True,
    }
    return Checkpoint.model_validate({**given, **changes})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint = made(previous=("x", "y"), msn_reserved=64)
    save(tmp_path, KEY, checkpoint)
    assert load_all(tmp_path) == ({KEY: checkpoint}, [])
    assert (tmp_path / "acme.ev_1.main.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    save(tmp_path, KEY, made())
    broken = tmp_path / "acme.ev_2.main.json"
    broken.write_text('{"incarnation":')
    stray = tmp_path / "notes.json"
    stray.write_text("{}")
    found, unreadable = load_all(tmp_path)
    assert list(found) == [KEY]
    assert unreadable == [broken, stray]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, KEY, made(msn_reserved=1))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, KEY, made(msn_reserved=2))
    monkeypatch.undo()
    assert load_all(tmp_path)[0][KEY].msn_reserved == 1
    assert list(tmp_path.glob("*.tmp")) == []


def test_a_forgotten_programme_has_no_file(tmp_path: Path) -> None:
    save(tmp_path, KEY, made())
    files.forget(tmp_path, KEY)
    files.forget(tmp_path, KEY)
    assert load_all(tmp_path) == ({}, [])


@given(st.integers(0, 10**6), st.integers(0, 10**4))
def test_a_reservation_covers_what_is_in_use_with_room_to_spare(msn: int, sequence: int) -> None:
    covering = made().covering(msn, sequence)
    assert covering.msn_reserved > msn + files.MSN_BLOCK // 2
    assert covering.discontinuity_seq >= sequence + files.DISCONTINUITY_BLOCK // 2
    assert covering.covering(msn, sequence) is covering


def test_reservations_are_rare() -> None:
    checkpoint, saves = made().covering(0, 0), 0
    for msn in range(1000):
        extended = checkpoint.covering(msn, 0)
        saves += extended is not checkpoint
        checkpoint = extended
    assert saves <= 1000 // (files.MSN_BLOCK // 2)


@given(st.lists(st.integers(0, 2**45), min_size=1, max_size=20))
def test_incarnations_rise_even_when_the_clock_goes_back(clock: list[int]) -> None:
    names: list[str] = []
    for now_ms in clock:
        names.append(next_incarnation(now_ms, names))
    numbers = [int(name, 36) for name in names]
    assert numbers == sorted(set(numbers))
