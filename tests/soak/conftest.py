"""Long runs on a whole stack: `make soak`, never part of `make test`."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("soak")
    group.addoption("--minutes", type=float, default=10.0, help="how long an event is on the air")
    group.addoption("--clients", type=int, default=300, help="LL-HLS players at any time")
    group.addoption("--json", type=Path, default=None, help="also write the findings there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for = any("soak" in str(argument) for argument in config.invocation_params.args)
    for item in items:
        if "/tests/soak/" in str(item.path):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
            if not asked_for:
                item.add_marker(pytest.mark.skip(reason="a soak; run it with `make soak`"))
