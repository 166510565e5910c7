"""Long runs with many viewers: `make load`, never part of `make test`."""

import sys
from collections.abc import Callable

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("load")
    group.addoption("--viewers", type=int, default=500, help="WHEP viewers on one node")
    group.addoption("--minutes", type=float, default=10.0, help="how long they stay")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for = any("load" in str(argument) for argument in config.invocation_params.args)
    for item in items:
        if "/tests/load/" in str(item.path):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
            if not asked_for:
                item.add_marker(pytest.mark.skip(reason="a load test; run it with `make load`"))


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
