"""A cold path that everything happens to: `make chaos`, never part of `make test`."""

import secrets

import pytest

from tests.support.long_runs import only_when_asked

SECONDS, JOBS = 140, 150


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--seconds", type=int, default=SECONDS, help="how long things happen")
    group.addoption("--jobs", type=int, default=JOBS, help="how many jobs there are at least")
    group.addoption("--seed", type=int, default=None, help="what happens when; else a new one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_when_asked(config, items, "chaos", "chaos; run it with `make chaos`")


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--seed")
    return secrets.randbelow(1_000_000) if given is None else int(given)
