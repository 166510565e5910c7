"""What the kernel counts: per stream, per viewer, in all.

Counters are written by the shards and read without stopping them, so the figures of one answer may
be a packet apart. Upstream: `kernel`. Downstream: `viewer`, `metrics`.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hotpath.fanout._kernel import ffi, lib

DELAY_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Delay:
    """From push to socket, over frames sent live to viewers, since the stream began."""

    count: int
    sum_ns: int
    max_ns: int
    buckets: tuple[int, ...]
    """Frames no later than `DELAY_BOUNDS_MS` and later than the bound before."""


class ViewerStats(NamedTuple):
    packets: int
    """RTP, RTX included."""
    bytes: int
    frames: int
    rtx: int
    rtx_bytes: int
    rtx_refused: int
    frames_dropped: int
    sender_reports: int
    errors: int
    last_errno: int
    gso: bool
    waiting: bool
    """Its socket is full and a frame waits."""
    lag_ms: int
    """For how long it has waited."""
    stream: int | None
    """`Stream.id` of the video whose picture was sent last."""


@dataclass(frozen=True, slots=True)
class KernelTotals:
    viewers: int
    packets: int
    bytes: int
    frames: int
    rtx: int
    rtx_bytes: int
    rtx_refused: int
    frames_dropped: int
    gso_off: int
    sr: int
    blocked: int
    """Times that a socket was full."""
    syscalls: int
    queued: int
    """Commands given and not yet obeyed."""
    refused_commands: int
    errors: Mapping[str, int]
    """By name of the errno."""
    cpu_ns: tuple[int, ...]
    """CPU time of each shard's thread."""


def read_viewer(viewer: Any) -> ViewerStats:
    stats = ffi.new("lp_viewer_stats *")
    lib.lp_viewer_stats_of(viewer, stats)
    waited = lib.lp_now_ns() - stats.behind_ns if stats.behind_ns else 0
    return ViewerStats(
        packets=stats.packets,
        bytes=stats.bytes,
        frames=stats.frames,
        rtx=stats.rtx,
        rtx_bytes=stats.rtx_bytes,
        rtx_refused=stats.rtx_refused,
        frames_dropped=stats.frames_dropped,
        sender_reports=stats.sr,
        errors=stats.errors,
        last_errno=stats.last_errno,
        gso=bool(stats.gso),
        waiting=stats.behind_ns != 0,
        lag_ms=max(waited, 0) // 1_000_000,
        stream=stats.stream or None,
    )


def read_totals(kernel: Any, shards: int) -> KernelTotals:
    stats = [ffi.new("lp_shard_stats *") for _ in range(shards)]
    for number, one in enumerate(stats):
        lib.lp_shard_stats_of(kernel, number, one)

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in stats)

    errors = {
        errno.errorcode.get(code, str(code)): count
        for code in range(lib.LP_ERRNOS)
        if (count := sum(one.errors[code] for one in stats))
    }
    return KernelTotals(
        viewers=total("viewers"),
        packets=total("packets"),
        bytes=total("bytes"),
        frames=total("frames"),
        rtx=total("rtx"),
        rtx_bytes=total("rtx_bytes"),
        rtx_refused=total("rtx_refused"),
        frames_dropped=total("frames_dropped"),
        gso_off=total("gso_off"),
        sr=total("sr"),
        blocked=total("blocked"),
        syscalls=total("syscalls"),
        queued=total("queued"),
        refused_commands=total("refused_commands"),
        errors=errors,
        cpu_ns=tuple(one.cpu_ns for one in stats),
    )
