"""The API against its own description: `make fuzz-api`, never part of `make test`."""

import secrets
import sys

import pytest

EXAMPLES = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract")
    group.addoption("--examples", type=int, default=EXAMPLES, help="of each operation")
    group.addoption("--fuzz-seed", type=int, default=None, help="which ones; else new ones")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked_for = any("contract" in str(argument) for argument in config.invocation_params.args)
    for item in items:
        if "/tests/contract/" in str(item.path):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
            if not asked_for:
                item.add_marker(pytest.mark.skip(reason="fuzzing; run it with `make fuzz-api`"))


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--fuzz-seed")
    found = secrets.randbelow(1_000_000) if given is None else int(given)
    sys.stderr.write(f"\nseed {found}: --fuzz-seed {found} has the same again\n")
    return found
