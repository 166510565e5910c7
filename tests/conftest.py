"""Fixtures that every test may use."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.missing import judged
from tests.support.stack import RunningStack, stack_on_thread

pytest_plugins = ["tests.support.s3"]

# How long an example takes says how busy the machine is. Under `CI` Hypothesis does so by itself.
settings.register_profile(
    "busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Those that several of the long runs have; the others are in their own folders."""
    group = parser.getgroup("long runs")
    group.addoption("--minutes", type=float, default=10.0, help="how long they last")
    group.addoption("--json", type=Path, default=None, help="also write the findings there")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are no garbage: to look for some among them took each process two of the
    ten seconds of CPU time that it spent on collecting them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A green CI has run every test that it can run."""
    return judged((yield), ci=os.environ.get("CI") == "true")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whole stack for all tests that leave it as they found it.

    A test that kills or starves a part starts its own with `tests.support.stack.running_stack`.
    """
    # Nobody transcribes here; what is said is told by the test that looks at it.
    offered = {"LIVEPATH_LIVE_CAPTIONS": "true"}
    # Receivers of webhooks are on this machine.
    offered |= {"LIVEPATH_WEBHOOK_HTTP": "true", "LIVEPATH_WEBHOOK_PRIVATE": "true"}
    folder = tmp_path_factory.mktemp("stack") / "data"
    with stack_on_thread(folder, environment=offered) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests must not reach the settings models."""
    for name in [name for name in os.environ if name.startswith("LIVEPATH_")]:
        monkeypatch.delenv(name)
