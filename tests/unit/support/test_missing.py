"""A test that lacks a program is skipped, and fails where everything is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.missing import FIX, judged, missing

ROOT = Path(__file__).parents[3]


def report(reason: str) -> pytest.TestReport:
    where = ("test_x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport("test_x", ("test_x.py", 1, "test_x"), {}, "skipped", where, "setup")


def test_what_bootstrap_installs_is_no_excuse_under_ci() -> None:
    found = judged(report(missing("coturn")), ci=True)
    assert found.failed
    assert "no coturn" in found.longreprtext
    assert FIX in found.longreprtext
    assert judged(report(missing("coturn")), ci=False).skipped


@pytest.mark.parametrize(
    "reason", ["network namespaces need root", missing("Firefox", installed=False)]
)
def test_what_the_machine_cannot_give_is_one_everywhere(reason: str) -> None:
    assert judged(report(reason), ci=True).skipped


def test_what_is_known_to_fail_is_no_skip() -> None:
    known = report(missing("coturn"))
    known.wasxfail = "a bug"
    assert judged(known, ci=True).skipped


def test_pytest_itself_judges_so(tmp_path: Path) -> None:
    """On a machine that has no program at all, and so no coturn."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = subprocess.run(
        [*command, "tests/interop/test_turn.py"],
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert missing("coturn") in done.stdout
