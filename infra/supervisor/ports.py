"""Which port is whose, and finding a free block of them.

`PortPlan` is pure: everything follows from the base. `reserve_block` holds a file lock for as long
as a stack on picked ports lives, so that stacks started side by side never share a block.
"""

import fcntl
import os
import random
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.supervisor.errors import StackError

BLOCK = 32
# Below the kernel's ephemeral range (32768 and up), where any outgoing socket may sit on a port.
_FIRST_BLOCK, _LAST_BLOCK = 18_016, 32_672


@dataclass(frozen=True, slots=True)
class PortPlan:
    """Ports of one stack, counted from `base`."""

    base: int

    def __post_init__(self) -> None:
        if not 1 <= self.base <= 65_536 - BLOCK:
            raise StackError(f"port base {self.base} is not between 1 and {65_536 - BLOCK}")

    @property
    def control(self) -> int:
        return self.base

    @property
    def media(self) -> int:
        return self.base + 1

    @property
    def srt(self) -> int:
        """UDP."""
        return self.base + 2

    @property
    def uploader(self) -> int:
        return self.base + 3

    @property
    def dispatcher(self) -> int:
        return self.base + 4

    @property
    def worker(self) -> int:
        return self.base + 5

    @property
    def broker(self) -> int:
        return self.base + 6

    @property
    def bus(self) -> int:
        return self.base + 7

    @property
    def s3(self) -> int:
        return self.base + 8

    def internal(self, index: int) -> int:
        """The `index`-th port of what clients never talk to (SeaweedFS's own)."""
        if not 0 <= index < BLOCK - 9:
            raise ValueError(f"internal port {index} lies outside the block of {BLOCK}")
        return self.base + 9 + index


def busy_ports(host: str, plan: PortPlan) -> list[int]:
    """Ports of the plan that something else listens on."""
    found = []
    for port in range(plan.base, plan.base + BLOCK):
        kind = socket.SOCK_DGRAM if port == plan.srt else socket.SOCK_STREAM
        if not _free(host, port, kind):
            found.append(port)
    return found


def _free(host: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As servers bind: sockets in TIME_WAIT do not hold a port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class PortReservation:
    """A block of ports that no other stack on this machine picks until `release` or exit."""

    def __init__(self, plan: PortPlan, lock: int) -> None:
        self.plan = plan
        self._lock: int | None = lock

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def reserve_block(host: str) -> PortReservation:
    """Pick a free block of ports; raises `StackError` when there is none."""
    folder = Path(tempfile.gettempdir()) / f"livepath-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    bases = list(range(_FIRST_BLOCK, _LAST_BLOCK, BLOCK))
    # A random start keeps a stack off the ports that one just stopped still has in TIME_WAIT.
    random.shuffle(bases)
    for base in bases:
        plan = PortPlan(base)
        lock = os.open(folder / str(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        if not busy_ports(host, plan) and (
            host == "127.0.0.1" or not busy_ports("127.0.0.1", plan)
        ):
            return PortReservation(plan, lock)
        os.close(lock)
    raise StackError("no block of 32 free ports was found between 18016 and 32703")
