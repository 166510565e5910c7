"""The archive of an event that is over, through the real uploader; an hour is `make soak`'s."""

from pathlib import Path

import pytest

from tests.support.archiving import ARCHIVE_WITHIN_S, archive_of
from tests.support.looped import Loop
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TRIES = 3
"""Events: the machine may be busy with something else when one ends."""


def test_the_archive_of_a_minute_is_ready_within_seconds(
    stack: RunningStack, tmp_path: Path
) -> None:
    took: list[float] = []
    for number in range(1, TRIES + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        ready = archive_of(stack, folder, Loop(), 60, number=number)
        assert (ready.entries, round(ready.length_s, 3)) == (30, 60)
        took.append(round(ready.archived, 2))
        if took[-1] <= ARCHIVE_WITHIN_S:
            break
    assert took[-1] <= ARCHIVE_WITHIN_S, took
