"""What processes cost, from /proc: CPU, resident and private memory, sockets' own losses."""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
STEADY_KB, STEADY_S, STEADY_AT_LAST_S = 300, 10.0, 180.0


@dataclass(frozen=True, slots=True)
class Usage:
    user_s: float
    system_s: float
    rss_kb: int
    private_kb: int
    """Pages that no other process has: what would be free without these. Unlike the proportional
    set size it does not move when an unrelated process starts that shares a library."""

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s

    def since(self, before: "Usage") -> float:
        """CPU seconds between the two."""
        return self.cpu_s - before.cpu_s


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in PROC.glob(f"{one}/task/*/children"):
            try:
                waiting += [int(child) for child in children.read_text().split()]
            except OSError:
                continue  # it ended meanwhile
    return found


def usage(pids: Collection[int]) -> Usage:
    """Of these processes and their descendants, those that ended and were waited for included."""
    user = system = rss = private = 0
    for top in pids:
        for pid in family(top):
            try:
                fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
                memory = (PROC / str(pid) / "smaps_rollup").read_text()
            except OSError:
                continue
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
            rss += _kilobytes(memory, "Rss:")
            private += _kilobytes(memory, "Private_Clean:") + _kilobytes(memory, "Private_Dirty:")
    return Usage(user / _TICKS, system / _TICKS, rss, private)


def until_steady(pid: int) -> None:
    """Until the process has stopped growing by itself."""
    deadline = time.monotonic() + STEADY_AT_LAST_S
    before = usage([pid]).private_kb
    while time.monotonic() < deadline:
        time.sleep(STEADY_S)
        now = usage([pid]).private_kb
        if now - before < STEADY_KB:
            return
        before = now


def _kilobytes(text: str, name: str) -> int:
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))


def socket_drops(ports: Collection[int]) -> int:
    """Datagrams that the kernel dropped because these UDP sockets' buffers were full."""
    wanted, drops = set(ports), 0
    for line in (PROC / "net" / "udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) in wanted:
            drops += int(fields[12])
    return drops
