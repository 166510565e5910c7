import logging

import pytest

from coldpath.log_tail import MOST, LogTail

log = logging.getLogger("a.function")


def test_lines_are_kept_while_it_listens() -> None:
    log.warning("before")
    with LogTail() as tail:
        log.warning("inside %d", 1)
    log.warning("afterwards")
    assert tail.text.endswith("WARNING a.function: inside 1")
    assert tail.text.count("\n") == 0


def test_the_last_lines_stay_and_it_says_that_others_came_before() -> None:
    with LogTail() as tail:
        for number in range(5_000):
            log.error("line %d", number)
    assert len(tail.text) <= MOST + 2
    assert tail.text.startswith("…\n")
    assert tail.text.endswith("line 4999")


def test_one_endless_line_is_cut() -> None:
    with LogTail() as tail:
        log.error("x" * 100_000)
    assert len(tail.text) <= 2_000


def test_a_record_that_cannot_be_written_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with LogTail() as tail:
        log.error("%d of %d", "one")  # noqa: PLE1206 - the mistake that is tried
        log.error("after")
    assert tail.text.endswith("after")
