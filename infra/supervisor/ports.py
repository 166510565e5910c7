"""Which port is whose, and finding a free block of them.

`PortPlan` is pure: everything follows from the base. `reserve_block` listens on the last port of a
block for as long as a stack on picked ports lives, so that stacks started side by side, whoever
starts them, never share a block.
"""

import random
import socket
from dataclasses import dataclass

from infra.supervisor.errors import StackError

BLOCK = 32
INTERNAL = BLOCK - 12
LOOPBACK = "127.0.0.1"
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

    @property
    def webrtc(self) -> int:
        """UDP and TCP."""
        return self.base + 9

    def internal(self, index: int) -> int:
        """The `index`-th port of what clients never talk to (SeaweedFS's own)."""
        if not 0 <= index < INTERNAL:
            raise ValueError(f"internal port {index} lies outside the block of {BLOCK}")
        return self.base + 10 + index

    @property
    def transcriber(self) -> int:
        return self.base + BLOCK - 2

    @property
    def reservation(self) -> int:
        """Held by the supervisor itself while the block is in use."""
        return self.base + BLOCK - 1


def busy_ports(host: str, plan: PortPlan) -> list[int]:
    """Ports of the plan that something else listens on."""
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    kinds = {plan.srt: (datagram,), plan.webrtc: (datagram, stream)}
    return [
        port
        for port in range(plan.base, plan.base + BLOCK)
        if not all(_free(host, port, kind) for kind in kinds.get(port, (stream,)))
    ]


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

    def __init__(self, plan: PortPlan, held: socket.socket) -> None:
        self.plan = plan
        self._held = held

    def release(self) -> None:
        self._held.close()


def reserve_block(host: str) -> PortReservation:
    """Pick a free block of ports; raises `StackError` when there is none."""
    bases = list(range(_FIRST_BLOCK, _LAST_BLOCK, BLOCK))
    # A random start keeps a stack off the ports that one just stopped still has in TIME_WAIT.
    random.shuffle(bases)
    for base in bases:
        plan = PortPlan(base)
        if busy_ports(host, plan) or (host != LOOPBACK and busy_ports(LOOPBACK, plan)):
            continue
        if held := _hold(plan.reservation):
            return PortReservation(plan, held)
    raise StackError(f"no block of {BLOCK} free ports was found from {_FIRST_BLOCK} to 32703")


def _hold(port: int) -> socket.socket | None:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.bind((LOOPBACK, port))
        # Without it, another bind with SO_REUSEADDR would succeed.
        held.listen(1)
    except OSError:
        held.close()
        return None
    return held
