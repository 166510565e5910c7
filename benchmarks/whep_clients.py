"""Many light WHEP viewers on one server: packets, loss, connect times, latency, the server's CPU.

    python -m benchmarks.whep_clients http://127.0.0.1:8080/live/.../whep -n 300 --server-pid PID

Every viewer is a real WebRTC peer; media is counted from the clear RTP header and dropped
undecrypted, but for the `--probes` that decrypt, put frames together and read the wall clock which
`benchmarks.stamped` put into each. Prints one JSON object. Loss is what is missing between the
first and the highest sequence number; nothing is asked for again. A server that drops before it
numbers shows no gap, so compare `pps_per_viewer` with a run of one viewer. `socket_drops` are this
process' own and make a run worthless when they are not 0.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.accounting import Usage, socket_drops, usage
from benchmarks.peer import CM, GCM
from benchmarks.signalling import janus, whep
from benchmarks.viewers import Probe, Signal, Viewer, Viewers

FIRST_S = 3.0
PROFILES = {"gcm": GCM, "cm": CM, "any": GCM + b":" + CM}


@dataclass(frozen=True)
class Load:
    url: str
    viewers: int = 100
    seconds: float = 10.0
    settle_s: float = 2.0
    rate: float = 25.0
    """New viewers a second."""
    connect_s: float = 20.0
    """Patience after the last one began."""
    probes: int = 1
    profile: str = "gcm"
    signalling: str = "whep"
    token: str | None = None
    host: str = "127.0.0.1"
    """The address that viewers have."""
    server_pids: tuple[int, ...] = ()

    def signal(self) -> Signal:
        if self.signalling == "janus":
            return lambda peer: janus(peer, self.url)
        return lambda peer: whep(peer, self.url, token=self.token)


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters at one end of the steady window."""

    at: float
    unix_ns: int
    server: Usage
    client_cpu: float
    drops: int
    packets: dict[int, tuple[int, int, int]]
    """Viewer → (packets, highest sequence numbers, bytes), all its streams together."""


def percentiles(values: Sequence[float], digits: int = 2) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], digits)

    return {"p50": at(0.5), "p95": at(0.95), "max": round(ordered[-1], digits)}


def run(load: Load) -> dict[str, Any]:
    viewers = Viewers(load.viewers, profiles=PROFILES[load.profile], host=load.host)
    try:
        # What a stream costs once, such as an audio encoder, begins with its first viewer.
        _connect(viewers, load, 1)
        viewers.run(FIRST_S if load.viewers > 1 else 0)
        before = usage(load.server_pids)
        _connect(viewers, load, load.viewers)
        viewers.run(load.settle_s)
        first = _moment(viewers, load)
        viewers.run(load.seconds)
        last = _moment(viewers, load)
        return _result(viewers, load, before, first, last)
    finally:
        viewers.close()


def _connect(viewers: Viewers, load: Load, count: int) -> None:
    """Until there are so many, at the load's rate."""
    signal, began, first = load.signal(), time.monotonic(), len(viewers.all)
    while len(viewers.all) < count:
        viewers.step()
        due = first + 1 + (time.monotonic() - began) * load.rate
        while len(viewers.all) < min(count, due):
            probe = Probe() if len(viewers.all) < load.probes else None
            viewers.open(signal, probe=probe, offers=load.signalling != "janus")
    viewers.run(load.connect_s, lambda: all(_receiving(viewers, v) for v in viewers.all))


def _receiving(viewers: Viewers, viewer: Viewer) -> bool:
    return viewer.failure is not None or bool(viewers.counts(viewer))


def _moment(viewers: Viewers, load: Load) -> Moment:
    packets = {}
    for viewer in viewers.all:
        counts = viewers.counts(viewer)
        packets[viewer.index] = (
            sum(s.packets for s in counts),
            # One more than the distance, so that a stream's first packet counts as expected.
            sum(s.highest - s.first + 1 for s in counts),
            sum(s.bytes for s in counts),
        )
    ports = [v.peer.port for v in viewers.all if not v.ended]
    server = usage(load.server_pids)
    drops = socket_drops(ports)
    return Moment(time.monotonic(), time.time_ns(), server, time.process_time(), drops, packets)


def _result(
    viewers: Viewers, load: Load, before: Usage, first: Moment, last: Moment
) -> dict[str, Any]:
    seconds = last.at - first.at
    got = {i: last.packets[i][0] - first.packets[i][0] for i in last.packets}
    lost = {i: last.packets[i][1] - first.packets[i][1] - got[i] for i in last.packets}
    size = sum(last.packets[i][2] - first.packets[i][2] for i in last.packets)
    connected = [v for v in viewers.all if viewers.counts(v)]
    total, people = sum(got.values()), max(1, len(connected))
    client = last.client_cpu - first.client_cpu
    result: dict[str, Any] = {
        "url": load.url.split("?")[0],
        "viewers": load.viewers,
        "connected": len(connected),
        "errors": sorted({v.failure for v in viewers.all if v.failure})[:5],
        "srtp": connected[0].peer.profile.decode() if connected else None,
        "window_s": round(seconds, 2),
        "packets": total,
        "pps": round(total / seconds),
        "pps_per_viewer": round(total / seconds / people, 1),
        "mbit_per_viewer": round(size * 8e-6 / seconds / people, 3),
        "lost": sum(lost.values()),
        "viewers_with_loss": sum(n > 0 for n in lost.values()),
        "fewest_packets": min((got[v.index] for v in connected), default=0),
        "socket_drops": last.drops - first.drops,
        "client_cores": round(client / seconds, 3),
        "connect_ms": _times(connected, lambda v: v.elapsed_ms("connected")),
        "answer_ms": _times(connected, lambda v: v.elapsed_ms("answered")),
        "first_packet_ms": _times(connected, viewers.first_packet_ms),
        **_probed(connected, first.unix_ns),
    }
    if load.server_pids:
        cpu = last.server.since(first.server)
        result["server"] = {
            "cores": round(cpu / seconds, 3),
            "us_per_packet": round(1e6 * cpu / max(1, total), 3),
            "user_us_per_packet": round(
                1e6 * (last.server.user_s - first.server.user_s) / max(1, total), 3
            ),
            "private_kb_before": before.private_kb,
            "private_kb": last.server.private_kb,
            "kb_per_viewer": _per_viewer(last.server.private_kb - before.private_kb, people - 1),
        }
    return result


def _per_viewer(kilobytes: int, viewers: int) -> float | None:
    """None for a lone viewer, who cannot be told from the stream."""
    return round(kilobytes / viewers, 1) if viewers > 0 else None


def _times(viewers: Sequence[Viewer], of: Callable[[Viewer], float | None]) -> Any:
    return percentiles([ms for v in viewers if (ms := of(v)) is not None], 1)


def _probed(viewers: Sequence[Viewer], since_ns: int) -> dict[str, Any]:
    """What the probes saw; latencies in the steady window only."""
    pairs = [(v, v.probe) for v in viewers if v.probe is not None]
    frames = [f for _, p in pairs for f in p.frames if f.complete_ns >= since_ns]
    arrivals = [a for _, p in pairs for a in p.arrivals if a[0] >= since_ns]
    keys = [(p.first_keyframe_ns, v) for v, p in pairs]
    return {
        "first_keyframe_ms": percentiles([(at - v.started_ns) / 1e6 for at, v in keys if at]),
        "latency_ms": percentiles([(at - 1000 * stamp) / 1e6 for at, stamp in arrivals]),
        "frame_latency_ms": percentiles(
            [(f.complete_ns - 1000 * f.stamp_us) / 1e6 for f in frames if f.stamp_us]
        ),
        "frames": len(frames),
        "frames_undecodable": sum(f.decodable_ns is None for f in frames),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="WHEP URL, or with --signalling janus http://.../janus#ID")
    parser.add_argument("-n", "--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="the steady window")
    parser.add_argument("--settle", type=float, default=2.0, help="before it")
    parser.add_argument("--rate", type=float, default=25.0, help="new viewers a second")
    parser.add_argument("--probes", type=int, default=1, help="viewers that decrypt")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="gcm", help="SRTP")
    parser.add_argument("--signalling", choices=("whep", "janus"), default="whep")
    parser.add_argument("--token", help="bearer token")
    parser.add_argument("--host", default="127.0.0.1", help="the address that viewers have")
    parser.add_argument("--server-pid", type=int, action="append", default=[])
    parser.add_argument("--core", type=int, action="append", help="run on this core only")
    given = parser.parse_args()
    if given.core:
        os.sched_setaffinity(0, given.core)
    load = Load(
        given.url,
        given.viewers,
        given.seconds,
        given.settle,
        given.rate,
        probes=given.probes,
        profile=given.profile,
        signalling=given.signalling,
        token=given.token,
        host=given.host,
        server_pids=tuple(given.server_pid),
    )
    result = run(load)
    print(json.dumps(result))
    return 0 if result["connected"] == given.viewers else 1


if __name__ == "__main__":
    sys.exit(main())
