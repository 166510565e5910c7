"""What viewers send, received by the kernel: their reports are read in C, the rest is handed on.

Invariant: a packet is taken once, here or by whom it is handed on to, and only if it is authentic;
what was reported stays figures until a review asks for it. Nothing here decides anything.

Upstream: the mux's sockets (`Intake`), the peer (`RtcpOpener`). Downstream: `viewer`'s reviews.
Spec: RFC 3711 3.3.2 and 3.4, RFC 7714 9, RFC 3550 6.4.2.
"""

import os
import socket
from typing import Any, NamedTuple

from hotpath.fanout._kernel import ffi, lib
from hotpath.webrtc.errors import Rejected
from hotpath.webrtc.stun import Address

_FAMILIES = {4: (socket.AF_INET, 4), 6: (socket.AF_INET6, 16)}
_CAUSES = {
    lib.LP_SHORT: "rtcp-short",
    lib.LP_LONG: "rtcp-long",
    lib.LP_FORGED: "rtcp-forged",
    lib.LP_REPLAYED: "rtcp-replayed",
    lib.LP_MANY_SSRCS: "ssrc-limit",
}


class KernelIntake:
    """Receives for the mux. Belongs to the event loop."""

    def __init__(self, kernel: Any) -> None:
        """`kernel`: the kernel's handle, which this keeps."""
        self._kernel = kernel
        self._datagrams = ffi.new("lp_datagram[]", lib.LP_INTAKE)
        self._taken = ffi.new("int *")

    def receive(self, fd: int, now: int) -> tuple[int, list[tuple[bytes, Address]]]:
        """How many reports of viewers came and were taken, and all else that came, in order.

        Raises `BlockingIOError` when nothing waits, another `OSError` when the socket has one.
        """
        left = lib.lp_intake_receive(self._kernel, fd, self._datagrams, now, self._taken)
        if left < 0:
            raise OSError(-left, os.strerror(-left))
        datagrams = self._datagrams
        return self._taken[0], [_received(datagrams[number]) for number in range(left)]


class Reported(NamedTuple):
    """What a viewer's reports said of one track since somebody last asked."""

    reports: int
    worst_lost: float
    """The worst fraction lost that one of them told."""
    jitter: int
    """The last, in ticks of the track's clock."""
    round_trip_ns: int | None
    """The last; None: none of them named a sender report that is remembered."""
    remb_bps: int | None
    """The last estimate; None: none came."""


class ViewerReports:
    """One viewer's SRTCP and what it told. Belongs to the event loop."""

    def __init__(self, viewer: Any) -> None:
        """`viewer`: the viewer's handle, which this keeps."""
        self._viewer = viewer

    def rtcp(self, packet: bytes) -> bytes:
        """The plaintext of a packet that was handed on; raises `Rejected`."""
        plain = ffi.new("uint8_t[]", lib.LP_RTCP_IN_MAX)
        size = lib.lp_viewer_open(self._viewer, packet, len(packet), plain)
        if size < 0:
            raise Rejected(_CAUSES[-size])
        return bytes(ffi.buffer(plain, size))

    @property
    def heard_ns(self) -> int:
        """When reports last came by the viewer's present path, on the mux's clock; 0: never."""
        return int(lib.lp_viewer_heard_ns(self._viewer))

    def take(self, *, video: bool) -> Reported:
        """What was said of the picture (else of the sound) since the last call; both begin anew."""
        one = ffi.new("lp_reception *")
        remb = lib.lp_viewer_reported(self._viewer, video, one)
        trip = one.round_trip_ns
        return Reported(
            one.reports,
            one.worst_lost / 256,
            one.jitter,
            None if trip < 0 else trip,
            None if remb < 0 else remb,
        )


def _received(one: Any) -> tuple[bytes, Address]:
    family, size = _FAMILIES[one.family]
    host = socket.inet_ntop(family, bytes(ffi.buffer(one.address, size)))
    if one.scope:
        host = f"{host}%{one.scope}"
    return bytes(ffi.buffer(one.data, one.length)), (host, one.port)
