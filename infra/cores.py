"""How many cores this process may use: its CPU affinity, and the quota of its control groups.

A container with two CPUs on a host with sixty-four is scheduled on all sixty-four; that it may take
two is said by its control group, or by one above: `cpu.max` in version 2, `cpu.cfs_quota_us` and
`cpu.cfs_period_us` in version 1 (cgroups(7)).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_MEMBERSHIP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def available_cores() -> float:
    """Cores that this process may use now; half a core is 0.5."""
    granted = float(len(os.sched_getaffinity(0)))
    quota = granted_cores(_MEMBERSHIP, _MOUNT)
    return granted if quota is None else min(granted, quota)


def granted_cores(membership: Path, mount: Path) -> float | None:
    """The least quota of the control groups, which are mounted at `mount`; None: there is none.

    `membership`: says which they are, as `/proc/self/cgroup` does.
    """
    try:
        groups = read_groups(membership.read_text())
    except (OSError, UnicodeDecodeError):  # no control groups here
        return None
    quotas: list[float] = []
    for version, group in groups:
        for folder in _folders(version, group, mount):
            with suppress(OSError, UnicodeDecodeError):  # that group has no such limit
                text = _limit_text(version, folder)
                if (quota := read_quota(text)) is not None:
                    quotas.append(quota)
    return min(quotas, default=None)


def read_groups(text: str) -> list[tuple[int, PurePosixPath]]:
    """The groups that may limit processors: version and path, from `/proc/self/cgroup`."""
    found = []
    for line in text.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            found.append((2, PurePosixPath(path)))
        elif "cpu" in controllers.split(","):
            found.append((1, PurePosixPath(path)))
    return found


def read_quota(text: str) -> float | None:
    """Cores from a quota and its period in µs (`200000 100000`); None: as many as there are.

    A quota that is unlimited is `max` in version 2 and -1 in version 1.
    """
    quota, _, period = text.strip().partition(" ")
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _folders(version: int, group: PurePosixPath, mount: Path) -> Iterator[Path]:
    """The group and those above it. In a container its own is mounted as the topmost, whatever the
    path says."""
    for root in [mount] if version == 2 else [mount / name for name in _V1_MOUNTS]:
        for each in (group, *group.parents):
            names = [name for name in each.parts if name not in ("/", "..")]
            yield root.joinpath(*names)


def _limit_text(version: int, folder: Path) -> str:
    if version == 2:
        return (folder / "cpu.max").read_text()
    quota, period = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    return f"{quota.read_text().strip()} {period.read_text().strip()}"
