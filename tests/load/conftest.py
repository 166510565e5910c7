"""Long runs with many viewers: `make load`, never part of `make test`."""

import sys
from collections.abc import Callable

import pytest

from tests.support.long_runs import only_when_asked


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("load")
    group.addoption("--viewers", type=int, default=500, help="WHEP viewers on one node")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_when_asked(config, items, "load", "a load test; run it with `make load`")


@pytest.fixture
def viewers_wanted(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--viewers"))


@pytest.fixture
def seconds_wanted(request: pytest.FixtureRequest) -> float:
    return 60 * float(request.config.getoption("--minutes"))


@pytest.fixture
def say(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Prints a line that is not swallowed: these tests measure, too."""
    name = request.node.name

    def line(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {text}")
            sys.stdout.flush()

    return line
