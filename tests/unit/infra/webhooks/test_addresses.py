"""Which addresses a webhook may go to, whatever form they come in."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.webhooks.addresses import refusal

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
PRIVATE = [
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.255"),
    *("169.254.1.1", "100.64.0.1", "100.127.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.9"),
    *("198.18.0.1", "192.0.0.1", "192.88.99.1"),
    *("::1", "fe80::1", "fc00::1", "fdff::1", "fec0::1", "2001:db8::1", "2001::1", "3fff::1"),
    *("2001:2::1", "100::1", "5f00::1"),
]
NEVER = [
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "ff02::1", "fd00:ec2::254", "fd20:ce::254"),
]
HOLDING = ["::ffff:{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "::{}"]
"""Forms of IPv6 that hold an IPv4 address."""


def judged(text: str, *, private: bool = False) -> str | None:
    return refusal(ipaddress.ip_address(text), private=private)


@pytest.mark.parametrize("text", PUBLIC)
def test_the_public_internet(text: str) -> None:
    assert judged(text) is None
    assert judged(text, private=True) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_private_networks_need_permission(text: str) -> None:
    assert judged(text) is not None
    assert judged(text, private=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_allowed(text: str) -> None:
    assert judged(text) is not None
    assert judged(text, private=True) is not None


@pytest.mark.parametrize("form", [*HOLDING, "6to4"])
@pytest.mark.parametrize("inner", [*PUBLIC[:2], "127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_an_address_within_an_address_is_judged_by_it(form: str, inner: str) -> None:
    if form == "6to4":
        address = IPv6Address((0x2002 << 112) | (int(IPv4Address(inner)) << 80) | 1)
    else:
        address = IPv6Address(form.format(inner))
    assert refusal(address, private=False) is not None
    assert refusal(address, private=True) == judged(inner, private=True)


def test_a_scope_changes_nothing() -> None:
    assert judged("fe80::1%1") is not None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_python_does_not_call_global_is_refused(
    address: IPv4Address | IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert refusal(address, private=False) is not None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_permission_only_adds(address: IPv4Address | IPv6Address) -> None:
    if refusal(address, private=True) is not None:
        assert refusal(address, private=False) is not None
