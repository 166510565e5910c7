"""The API against its own description: `make fuzz-api`, never part of `make test`."""

import secrets
import sys

import pytest

from tests.support.long_runs import only_when_asked

EXAMPLES = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract")
    group.addoption("--examples", type=int, default=EXAMPLES, help="of each operation")
    group.addoption("--fuzz-seed", type=int, default=None, help="which ones; else new ones")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only_when_asked(config, items, "contract", "fuzzing; run it with `make fuzz-api`")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--fuzz-seed")
    found = secrets.randbelow(1_000_000) if given is None else int(given)
    sys.stderr.write(f"\nseed {found}: --fuzz-seed {found} has the same again\n")
    return found
