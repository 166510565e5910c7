"""The archive of an hour, through the real uploader: ready ten seconds after its end.

    make soak SOAK_ARGS="-k hour"

An hour's segments go through a media node's spool and the uploader into a running stack faster
than they play, so that nobody waits an hour; the clock starts when the last is recorded and the
event ends.
"""

import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.archiving import ARCHIVE_WITHIN_S, archive_of
from tests.support.looped import Loop
from tests.support.stack import RunningStack

HOUR_S = 3600
SOURCE = Loop(size="854x480", fps=30, kbps=1200)


def test_the_archive_of_an_hour_is_ready_within_seconds(
    stack: RunningStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console, began = Console(file=sys.__stdout__, highlight=False), time.monotonic()

    def told(words: str) -> None:
        with capsys.disabled():
            console.print(f"{time.monotonic() - began:6.1f} s  {words}")

    ready = archive_of(stack, tmp_path, SOURCE, HOUR_S, told)
    for kind, seconds in ready.listed.items():
        told(f"{kind} was listed {seconds:.2f} s after the end")
    assert ready.archived <= ARCHIVE_WITHIN_S
    assert (ready.entries, round(ready.length_s, 3)) == (HOUR_S // 2, HOUR_S)
