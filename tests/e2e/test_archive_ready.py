"""The archive of an event that is over, through the real uploader; an hour is `make soak`'s."""

from pathlib import Path

import pytest

from tests.support.archiving import ARCHIVE_WITHIN_S, archive_of
from tests.support.looped import Loop
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.alone]


def test_the_archive_of_a_minute_is_ready_within_seconds(
    stack: RunningStack, tmp_path: Path
) -> None:
    ready = archive_of(stack, tmp_path, Loop(), 60)
    assert ready.archived <= ARCHIVE_WITHIN_S
    assert (ready.entries, round(ready.length_s, 3)) == (30, 60)
