"""Long runs on a whole stack: `make soak`, never part of `make test`."""

import pytest

from tests.support.long_runs import only_when_asked


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("soak")
    group.addoption("--clients", type=int, default=300, help="LL-HLS players at any time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_when_asked(config, items, "soak", "a soak; run it with `make soak`")
