"""The sockets of the WebRTC port: one UDP and one TCP socket an address, all on one port number.

Without SO_REUSEPORT, so that a taken port is an error. Upstream: settings. Downstream: `mux`,
`tcp_links`.
"""

import errno
import ipaddress
import logging
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ifaddr

from hotpath.webrtc.errors import PortError

log = logging.getLogger(__name__)

_BUFFER = 4 * 1024 * 1024
_BACKLOG = 128
_PORT_TRIES = 32
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
"""Linux: past net.core.[rw]mem_max, with CAP_NET_ADMIN."""


@dataclass(frozen=True, slots=True)
class BoundSockets:
    port: int
    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]
    addresses: tuple[str, ...]
    """Those a client may be told."""

    def close(self) -> None:
        for bound in (*self.udp, *self.tcp):
            bound.close()


def bind(hosts: Sequence[str], port: int, *, tcp: bool) -> BoundSockets:
    """Port 0 picks one that is free on all hosts, for UDP and TCP alike."""
    wanted = _expand(hosts)
    for attempt in range(_PORT_TRIES):
        try:
            return _bind_all(wanted, port, tcp=tcp)
        except PortError as error:
            taken = _errno(error) == errno.EADDRINUSE
            if port or not taken or attempt == _PORT_TRIES - 1:
                raise
    raise PortError("no WebRTC port is free")


def resolved(names: Sequence[str]) -> tuple[str, ...]:
    """The numeric addresses of `names`; one that cannot be resolved is told and left out."""
    found: list[str] = []
    for name in names:
        try:
            entries = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            log.warning("the advertised name %s cannot be resolved: %s", name, error)
            continue
        found += [str(entry[4][0]) for entry in entries]
    return tuple(dict.fromkeys(found))


def _expand(hosts: Sequence[str]) -> list[tuple[str, bool]]:
    """Numeric addresses, and whether each only comes from a wildcard.

    A wildcard is spelled out into a socket an address: a reply must leave from the address that the
    client wrote to, and one wildcard socket lets the routing table choose another.
    """
    found: dict[str, bool] = {}
    for host in hosts:
        address = ipaddress.ip_address(_numeric(host, 0)[1][0])
        if address.is_unspecified:
            for each in _interfaces(address.version):
                found.setdefault(str(each), True)
        else:
            found[str(address)] = False
    if not found:
        raise PortError(f"no interface has an address for WebRTC hosts {', '.join(hosts)}")
    return list(found.items())


def _interfaces(version: int) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Link-local addresses need a zone that no candidate can carry."""
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if address.version == version and not address.is_link_local:
                yield address


def _bind_all(wanted: Sequence[tuple[str, bool]], port: int, *, tcp: bool) -> BoundSockets:
    udp: list[socket.socket] = []
    streams: list[socket.socket] = []
    told: list[tuple[str, bool]] = []
    try:
        for address, from_wildcard in wanted:
            try:
                udp.append(_bind_one(address, port, socket.SOCK_DGRAM))
            except PortError as error:
                if not from_wildcard or _errno(error) not in _ABSENT:
                    raise
                log.warning("%s", error)
                continue
            told.append((address, from_wildcard))
            port = port or int(udp[0].getsockname()[1])
            if tcp:
                streams.append(_bind_one(address, port, socket.SOCK_STREAM))
        if not udp:
            raise PortError("WebRTC has no address to listen on")
    except PortError:
        BoundSockets(port, tuple(udp), tuple(streams), ()).close()
        raise
    return BoundSockets(port, tuple(udp), tuple(streams), _worth_telling(told))


def _worth_telling(bound: Sequence[tuple[str, bool]]) -> tuple[str, ...]:
    """Loopback that only a wildcard brought helps nobody, unless there is nothing else."""
    asked = [a for a, wild in bound if not wild or not ipaddress.ip_address(a).is_loopback]
    return tuple(asked or [a for a, _ in bound])


def _errno(error: PortError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def _bind_one(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family, address = _numeric(host, port)
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            _enlarge(made, socket.SO_RCVBUF, _SO_RCVBUFFORCE)
            _enlarge(made, socket.SO_SNDBUF, _SO_SNDBUFFORCE)
            made.bind(address)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT only
            made.bind(address)
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
        raise PortError(
            f"WebRTC cannot listen on {name} {host}:{port}: {error.strerror}; "
            "free the port or set LIVEPATH_WEBRTC_PORT"
        ) from error
    return made


def _numeric(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise PortError(f"WebRTC host {host!r} cannot be resolved: {error}") from error
    return found[0], (str(found[4][0]), port)


def _enlarge(made: socket.socket, option: int, force: int) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
