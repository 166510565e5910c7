"""How late WHEP is, beside a bare SRT reader of the same publisher in the same run.

    make bench-whep        or: python benchmarks/whep_latency.py [--joins N] [--json FILE]

One publisher stamps every frame with the wall clock and sends the same bytes to two places: to this
server over SRT, and over a second SRT connection with the same settings to a reader that only takes
libsrt's messages and looks for stamps (`srt_reader`). That reader is the floor: encryption, SRT's
receive latency and nothing else. WHEP's latency is that of the packet with the stamp, and of the
whole frame, by the kernel's receive timestamps.

Then viewers join one after another at random moments. For each: how long after its offer it has a
whole first key frame, and how much later than a steady viewer it gets the same frames from one
second after the join on.

Beside the figures stands what they are to be at most (`targets`). Exits with 1 when one of them is
missed, or a join has failed.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file: the package is beside it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.livepath_server import livepath_server
from benchmarks.signalling import whep
from benchmarks.srt_reader import Reader, bare_reader
from benchmarks.viewers import Probe, Viewer, Viewers
from benchmarks.whep_clients import percentiles

AFTER_JOIN_S, COMPARE_S = 1.0, 0.5
ADDED_MS = 15.0
"""What the server may add to the bare reader's median."""
KEYFRAME_MS = {"p50": 60.0, "p95": 120.0}
BEHIND_MS = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of the result and the most that it is to be, in ms."""

    name: str
    quantile: str
    at_most: float
    found: float | None
    met: bool

    @property
    def words(self) -> str:
        verdict = "met" if self.met else "missed"
        if self.found is not None:
            verdict += f" by {abs(self.at_most - self.found):.1f}"
        return f"{self.quantile} at most {self.at_most:.1f}: {verdict}"


def targets(result: dict[str, Any]) -> list[Target]:
    """What the result is held against; what was not measured, a floor too, has missed."""

    def at(name: str, quantile: str) -> float | None:
        return (result[name] or {}).get(quantile)

    def target(name: str, quantile: str, at_most: float) -> Target:
        found = at(name, quantile)
        return Target(name, quantile, at_most, found, found is not None and found <= at_most)

    return [
        target("whep_frame_ms", "p50", (at("srt_ms", "p50") or -ADDED_MS) + ADDED_MS),
        *(target("first_keyframe_ms", *each) for each in KEYFRAME_MS.items()),
        target("joiner_behind_ms", "p95", BEHIND_MS),
    ]


def measure(seconds: float, joins: int) -> dict[str, Any]:
    with bare_reader() as reader, livepath_server(also=[reader.url]) as server:
        viewers = Viewers(joins + 1)
        try:
            steady = _join(viewers, server.whep_url)
            viewers.run(5)
            since = time.time_ns()
            viewers.run(seconds)
            result = _latency(steady, reader, since)
            return result | _joins(viewers, steady, server.whep_url, joins)
        finally:
            viewers.close()


def _join(viewers: Viewers, url: str) -> Viewer:
    return viewers.open(lambda peer: whep(peer, url), probe=Probe())


def _ages(arrivals: Sequence[tuple[int, int]], since_ns: int) -> list[float]:
    return [(at - 1000 * stamp) / 1e6 for at, stamp in arrivals if at >= since_ns]


def _latency(steady: Viewer, reader: Reader, since: int) -> dict[str, Any]:
    probe = steady.probe
    assert probe is not None
    frames = [f for f in probe.frames if f.complete_ns >= since and f.stamp_us]
    return {
        "srt_ms": percentiles(_ages(reader.arrivals(), since)),
        "whep_ms": percentiles(_ages(probe.arrivals, since)),
        "whep_frame_ms": percentiles(
            [(f.complete_ns - 1000 * (f.stamp_us or 0)) / 1e6 for f in frames]
        ),
        "frames": len(frames),
        "undecodable": sum(f.decodable_ns is None for f in frames),
    }


def _joins(viewers: Viewers, steady: Viewer, url: str, joins: int) -> dict[str, Any]:
    first: list[float] = []
    behind: list[float] = []
    failed = 0
    for _ in range(joins):
        viewers.run(random.random())
        joiner = _join(viewers, url)
        viewers.run(AFTER_JOIN_S + COMPARE_S)
        assert joiner.probe is not None
        if (at := joiner.probe.first_keyframe_ns) is None:
            failed += 1
        else:
            first.append((at - joiner.started_ns) / 1e6)
            behind += _behind(steady, joiner)
        viewers.leave(joiner)
    return {
        "joins": joins,
        "joins_failed": failed,
        "first_keyframe_ms": percentiles(first),
        "joiner_behind_ms": percentiles(behind),
        "joiner_behind_median_ms": round(statistics.median(behind), 2) if behind else None,
    }


def _behind(steady: Viewer, joiner: Viewer) -> list[float]:
    """By how much later the joiner had the frames of the half second that began 1 s after it."""
    assert steady.probe is not None
    assert joiner.probe is not None
    since = joiner.started_ns + AFTER_JOIN_S * 1e9
    theirs = {f.stamp_us: f.complete_ns for f in steady.probe.frames[-120:]}
    return [
        (f.complete_ns - theirs[f.stamp_us]) / 1e6
        for f in joiner.probe.frames
        if f.complete_ns >= since and f.stamp_us in theirs
    ]


def table(result: dict[str, Any], judged: Sequence[Target]) -> Table:
    made = Table(title="WHEP beside a bare SRT reader, ms")
    for heading in ("", "p50", "p95", "max", "target"):
        made.add_column(heading, justify="left" if heading in ("", "target") else "right")
    rows = {
        "bare SRT reader": "srt_ms",
        "WHEP, the packet with the stamp": "whep_ms",
        "WHEP, the whole frame": "whep_frame_ms",
        "first whole key frame after the offer": "first_keyframe_ms",
        "joiner behind a steady viewer, after 1 s": "joiner_behind_ms",
    }
    for title, name in rows.items():
        values = result[name] or {}
        figures = (f"{values.get(p, float('nan')):.1f}" for p in ("p50", "p95", "max"))
        words = "\n".join(target.words for target in judged if target.name == name)
        made.add_row(title, *figures, words)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of latency")
    parser.add_argument("--joins", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the result here")
    given = parser.parse_args()
    result = measure(given.seconds, given.joins)
    judged = targets(result)
    result["targets"] = [asdict(target) for target in judged]
    Console(width=120).print(table(result, judged))
    print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(target.met for target in judged) and not result["joins_failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
