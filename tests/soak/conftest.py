"""Long runs on a whole stack: `make soak`, never part of `make test`."""

from pathlib import Path

import pytest

from tests.support.long_runs import only_when_asked


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("soak")
    group.addoption("--minutes", type=float, default=10.0, help="how long an event is on the air")
    group.addoption("--clients", type=int, default=300, help="LL-HLS players at any time")
    group.addoption("--json", type=Path, default=None, help="also write the findings there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_when_asked(config, items, "soak", "a soak; run it with `make soak`")
