import socket

import pytest

from infra.supervisor.options import (
    advertised_name,
    authority,
    external_from,
    is_loopback,
    webrtc_addresses,
)


def test_a_given_name_is_advertised() -> None:
    assert advertised_name("0.0.0.0", "live.example.org") == "live.example.org"


def test_a_single_address_is_advertised_as_it_is() -> None:
    assert advertised_name("127.0.0.1", None) == "127.0.0.1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_wildcard_is_never_advertised(host: str) -> None:
    name = advertised_name(host, None)
    assert name not in ("0.0.0.0", "::", "")
    assert name == socket.gethostname() or name.count(".") == 3


def test_ipv6_addresses_stand_in_brackets() -> None:
    assert authority("::1", 80) == "[::1]:80"
    assert authority("host", 80) == "host:80"


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_loopback(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_external_servers_come_from_the_environment() -> None:
    environment = {"LIVEPATH_BUS_URL": "redis://h/1", "LIVEPATH_S3_URL": "", "OTHER": "x"}
    assert external_from(environment) == {"bus_url": "redis://h/1"}


def test_candidates_carry_what_is_advertised() -> None:
    assert webrtc_addresses("0.0.0.0", "live.example.org") == "live.example.org"


def test_candidates_of_a_single_address_are_that_address() -> None:
    assert webrtc_addresses("192.0.2.7", None) == ""


def test_candidates_never_carry_a_wildcard() -> None:
    assert webrtc_addresses("0.0.0.0", None) == advertised_name("0.0.0.0", None)
