"""Giving way, seen from outside: in a process of its own, because a nice value never falls."""

import subprocess
import sys
from pathlib import Path

import pytest

REPORT = """
import os
from pathlib import Path
from infra.niceness import give_way
before = os.nice(0)
give_way(3)
group = Path("/proc/self/autogroup")
print(os.nice(0) - before, group.read_text().split()[-1] if group.exists() else "none")
"""


def told(*, leads: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=leads,
    )
    return done.stdout.split()


def test_a_process_gives_way_by_so_much() -> None:
    assert told(leads=False)[0] == "3"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel has no groups")
def test_a_session_of_its_own_gives_way_as_a_whole() -> None:
    assert told(leads=True) == ["3", "3"]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel has no groups")
def test_the_session_of_another_is_left_as_it_is() -> None:
    ours = Path("/proc/self/autogroup").read_text().split()[-1]
    assert told(leads=False)[1] == ours
