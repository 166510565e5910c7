"""A cold path that everything happens to: `make chaos`, never part of `make test`."""

import secrets
from pathlib import Path

import pytest

SECONDS, JOBS = 140, 150


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--seconds", type=int, default=SECONDS, help="how long things happen")
    group.addoption("--jobs", type=int, default=JOBS, help="how many jobs there are at least")
    group.addoption("--seed", type=int, default=None, help="what happens when; else a new one")
    group.addoption("--json", type=Path, default=None, help="also write the findings there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for = any("chaos" in str(argument) for argument in config.invocation_params.args)
    for item in items:
        if "/tests/chaos/" in str(item.path):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
            if not asked_for:
                item.add_marker(pytest.mark.skip(reason="chaos; run it with `make chaos`"))


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--seed")
    return secrets.randbelow(1_000_000) if given is None else int(given)
