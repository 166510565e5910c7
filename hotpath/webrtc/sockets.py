"""The sockets of the WebRTC port: one UDP and one TCP socket a host, all on one port number.

Without SO_REUSEPORT, so that a taken port is an error. Upstream: settings. Downstream: `mux`,
`tcp_links`.
"""

import errno
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ifaddr

from hotpath.webrtc.errors import PortError

_BUFFER = 4 * 1024 * 1024
_BACKLOG = 128
_PORT_TRIES = 32
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
"""Linux: past net.core.[rw]mem_max, with CAP_NET_ADMIN."""


@dataclass(frozen=True, slots=True)
class BoundSockets:
    port: int
    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]

    def close(self) -> None:
        for bound in (*self.udp, *self.tcp):
            bound.close()


def bind(hosts: Sequence[str], port: int, *, tcp: bool) -> BoundSockets:
    """Port 0 picks one that is free on all hosts, for UDP and TCP alike."""
    for attempt in range(_PORT_TRIES):
        try:
            return _bind_all(hosts, port, tcp=tcp)
        except PortError as error:
            cause = error.__cause__
            taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
            if port or not taken or attempt == _PORT_TRIES - 1:
                raise
    raise PortError("no WebRTC port is free")


def addresses(hosts: Sequence[str]) -> tuple[str, ...]:
    """Those a client may be told: a wildcard stands for what the interfaces have."""
    found: list[str] = []
    for host in hosts:
        address = ipaddress.ip_address(_numeric(host, 0)[1][0])
        if address.is_unspecified:
            usable = [a for a in _interfaces(address.version) if not a.is_loopback]
            loopback = "127.0.0.1" if address.version == 4 else "::1"
            found += [str(a) for a in usable] or [loopback]
        else:
            found.append(str(address))
    unique = list(dict.fromkeys(found))
    public = [a for a in unique if not ipaddress.ip_address(a).is_loopback]
    # A loopback address that only stands in for a family without interfaces helps nobody.
    asked = {str(a) for a in hosts}
    return tuple(a for a in unique if not public or a in public or a in asked)


def _interfaces(version: int) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Link-local addresses need a zone that no candidate can carry."""
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if address.version == version and not address.is_link_local:
                yield address


def _bind_all(hosts: Sequence[str], port: int, *, tcp: bool) -> BoundSockets:
    udp: list[socket.socket] = []
    streams: list[socket.socket] = []
    try:
        for host in hosts:
            udp.append(_bind_one(host, port, socket.SOCK_DGRAM))
            port = port or int(udp[0].getsockname()[1])
        streams += [_bind_one(host, port, socket.SOCK_STREAM) for host in hosts if tcp]
    except PortError:
        BoundSockets(port, tuple(udp), tuple(streams)).close()
        raise
    return BoundSockets(port, tuple(udp), tuple(streams))


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
