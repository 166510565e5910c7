"""A TCP port, taken in a way that tells when another program has it.

Upstream: `server`.
"""

import errno
import socket


class ServerError(OSError):
    """The server cannot listen; the message says where and why."""


def reserve(host: str, port: int) -> socket.socket:
    """A socket that is bound, not listening: it holds the port until somebody listens.

    Granian listens with SO_REUSEPORT, with which a second server would share the port unnoticed,
    so whether somebody listens is tried without it first.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            taken = probe.getsockname()[1]
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((host, taken))
        except OSError:
            reserved.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServerError(f"port {port} on {host} is taken by another program") from error
        raise ServerError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return reserved
