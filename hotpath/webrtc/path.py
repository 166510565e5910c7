"""Where a peer's packets go: a socket and an address on it."""

from typing import Literal, NamedTuple


class Path(NamedTuple):
    """One way to a peer. Equal paths are the same way.

    A tuple, because every packet of a peer looks its way up.
    """

    fd: int
    """Descriptor to send on; the socket keeps packets apart, also for ICE-TCP (see `address`)."""
    address: tuple[str, int] | None
    """Numeric host and port; None: `fd` is connected (one end of a pair whose other end the
    transport copies into a TCP stream; SOCK_SEQPACKET, as a datagram pair could hold only
    `net.unix.max_dgram_qlen` packets) and takes one plain packet at a time, never GSO."""
    protocol: Literal["udp", "tcp"] = "udp"
