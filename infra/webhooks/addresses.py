"""Which addresses a webhook may be sent to. Pure.

Invariant: without permission only addresses of the public internet pass; with it, those of private
networks and of this machine as well, but never a cloud's metadata service, multicast, or what is no
address of a host. An IPv6 address that stands for an IPv4 address (mapped, translated, tunnelled)
is no public address of its own; with permission it is judged by the one it stands for.

The lists are IANA's special-purpose registries (RFC 6890), written out because `ipaddress` knows
different ones from release to release.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _table(**reasons: str) -> list[tuple[Network, str]]:
    return [
        (ipaddress.ip_network(network), reason.replace("_", " "))
        for reason, networks in reasons.items()
        for network in networks.split()
    ]


_NEVER = _table(
    metadata_service="169.254.169.254/32 169.254.170.2/32 168.63.129.16/32 100.100.100.200/32 "
    "192.0.0.192/32 fd00:ec2::254/128 fd20:ce::254/128",
    multicast="224.0.0.0/4 ff00::/8",
    unspecified="0.0.0.0/8 ::/128",
    reserved="240.0.0.0/4",
)
_PRIVATE = _table(
    private="10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
    loopback="127.0.0.0/8 ::1/128",
    link_local="169.254.0.0/16 fe80::/10",
    shared_by_a_carrier="100.64.0.0/10",
    reserved_for_protocols="192.0.0.0/24 192.88.99.0/24 2001::/23",
    for_documentation="192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    for_benchmarks="198.18.0.0/15",
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_EMBEDDING = (
    # The prefix, and how far the IPv4 address in it is shifted.
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated (SIIT)
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a network's own
    (IPv6Network("2002::/16"), 80),  # 6to4
    (IPv6Network("::/96"), 0),  # compatible
)


def refusal(address: Address, *, private: bool) -> str | None:
    """Why nothing may be sent there; None: it may. `private` is the permission."""
    for network, reason in _NEVER:
        if address in network:
            return reason
    if not private:
        return _not_public(address)
    inner = _embedded(address)
    return None if inner is None else refusal(inner, private=True)


def _not_public(address: Address) -> str | None:
    for network, reason in _PRIVATE:
        if address in network:
            return reason
    if _embedded(address) is not None:
        return "an IPv4 address in an IPv6 address"
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return "not of the public internet"
    return None


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address) or address == IPv6Address("::1"):
        return None
    for network, shift in _EMBEDDING:
        if address in network:
            return IPv4Address((int(address) >> shift) & 0xFFFF_FFFF)
    return None
