"""Names to addresses."""

import pytest

from infra.addresses import addresses_of
from infra.errors import ConfigurationError


def test_addresses_stay_as_they_are_and_come_once() -> None:
    given = ["203.0.113.7", "2001:db8::1", "203.0.113.7", "[2001:DB8::1]", "0.0.0.0", "::"]
    expected = ["203.0.113.7", "2001:db8::1", "0.0.0.0", "::"]
    assert addresses_of(given, "LIVEPATH_X") == expected


def test_a_name_becomes_its_addresses() -> None:
    assert set(addresses_of(["localhost"], "LIVEPATH_X")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a..b", "x" * 300])
def test_a_name_without_address_says_which_setting_and_what_to_write(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"LIVEPATH_X: .*cannot be resolved.*203.0.113.7"):
        addresses_of([name], "LIVEPATH_X")
