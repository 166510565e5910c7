"""Whose request it is, behind proxies and behind those who pretend to be some."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.proxies import Proxies


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "192.0.2.1", "203.0.113.7"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("10.0.0.1", "10.9.9.9,10.8.8.8", "10.9.9.9"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "192.0.2.1, unknown", "unknown"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "192.0.2.1", ""),
    ],
)
def test_who_asks(peer: str, forwarded: str, client: str) -> None:
    assert Proxies(["10.0.0.0/8", "fd00::/8"]).client(peer, forwarded) == client


@given(st.text(max_size=100))
def test_without_trusted_proxies_the_header_means_nothing(forwarded: str) -> None:
    assert Proxies().client("10.0.0.1", forwarded) == "10.0.0.1"


@given(st.text(max_size=100))
def test_a_header_of_any_kind_is_read(forwarded: str) -> None:
    Proxies(["10.0.0.0/8"]).client("10.0.0.1", forwarded)


def test_what_is_no_network_is_told() -> None:
    with pytest.raises(ValueError, match="example"):
        Proxies(["proxy.example"])
