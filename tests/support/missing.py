"""Why a test does not run on this machine, and where that is no excuse.

`scripts/bootstrap --test` installs the programs that tests need. Under CI it has run, so a test
that misses one of them fails there. What the machine itself cannot give (root, namespaces, a
package that its distribution does not have) is a skip everywhere.
"""

import platform

import pytest

FIX = "run scripts/bootstrap --test"


def missing(what: str, *, installed: bool = True) -> str:
    """The reason of a skip. `installed`: whether bootstrap installs it on this kind of machine."""
    return f"no {what}; {FIX}" if installed else f"no {what}, and none for this kind of machine"


def has_firefox() -> bool:
    """Whether the distribution has one that bootstrap installs; Ubuntu's is a snap."""
    try:
        return platform.freedesktop_os_release()["ID"] != "ubuntu"
    except OSError:
        return False


def judged(report: pytest.TestReport, *, ci: bool) -> pytest.TestReport:
    """The report as it is, but under CI a failure where a program that belongs there is missing."""
    if not ci or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    if FIX in reason:
        report.outcome = "failed"
        report.longrepr = f"{reason} (under CI=true nothing may be missing that it installs)"
    return report
