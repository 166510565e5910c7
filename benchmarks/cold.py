"""The cold path: times real time of each function beside the plain tool, and the platform's share.

    make bench-cold        or: python benchmarks/cold.py [--only NAME ...] [--json FILE]

An event of ten minutes (720p30 H.264 with B-frames at 3 Mbit/s, AAC, segments of 2 s), made here,
is recorded in a bucket in memory. Each function runs as its job would, in turns with the plain
tool on the same pictures and sound: `ffmpeg -c copy` for the MP4, `-skip_frame nokey` for
pictures, a full re-encode with the same preset for an exact clip of half a minute, a bare faster-
whisper for what is said. Both have one core. `archive` itself writes playlists, for which there is
no plain tool. Times are the best and the median of a few rounds; functions do more than the tool:
they verify what they made and keep a ledger.

Platform overhead is measured on an embedded stack with a function that does nothing, and the wait
for an instant clip on one like it. The exit status is 1 when a target is missed.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file: the package is beside it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import cold_clips, cold_jobs, cold_platform
from benchmarks.cold_media import Media
from benchmarks.fanout import cores

FUNCTIONS = ("archive", "archive-mp4", "thumbnails", "storyboard", "clip-exact", "captions")
PLATFORM, CLIPS = "platform", "clip-instant"
START_P95_MS = 150.0
WIDTH = 150

Results = dict[str, dict[str, Any]]


def measure(given: argparse.Namespace, console: Console) -> Iterator[tuple[str, dict[str, Any]]]:
    """One row after the other."""
    only = [name for name in given.only if name not in (PLATFORM, CLIPS)]
    if only or not given.only:
        with tempfile.TemporaryDirectory(prefix="livepath-cold-") as folder:
            if only != [cold_jobs.CAPTIONS]:
                console.print(f"an event of {given.minutes} minutes is made ...")
            media = Media(round(60 * given.minutes), Path(folder))
            yield from cold_jobs.measure(media, only, given.rounds, cores()[0], console.print)
    if PLATFORM in given.only or not given.only:
        row = cold_platform.measure(given.objects, given.backlog, console.print)
        start = row["event_to_start_ms"]
        yield PLATFORM, row | {"target_p95_ms": START_P95_MS, "met": start["p95"] <= START_P95_MS}
    if CLIPS in given.only or not given.only:
        yield CLIPS, cold_clips.measure(given.clips, console.print)


def functions_table(results: Results) -> Table:
    made = Table(title="Functions, on one core", box=SIMPLE)
    headings = (
        "media",
        "s",
        "CPU s",
        "x real time",
        "plain tool",
        "s",
        "CPU s",
        "ours / plain",
        "by CPU",
    )
    for heading in ("function", *headings, "target"):
        made.add_column(
            heading, justify="left" if heading in ("function", "plain tool") else "right"
        )
    for name, row in results.items():
        if "ours_best_s" not in row:
            continue
        met = "met" if row["met"] else "missed"
        made.add_row(
            name,
            f"{row['media_s']:g} s",
            f"{row['ours_best_s']} / {row['ours_median_s']}",
            str(row["ours_cpu_s"]),
            str(row["ours_realtime"]),
            row.get("tool", "–"),
            f"{row['plain_best_s']} / {row['plain_median_s']}" if "tool" in row else "–",
            str(row.get("plain_cpu_s", "–")),
            str(row.get("of_plain", "–")),
            str(row.get("of_plain_cpu", "–")),
            f"{row['target']:g}x, {met}" if "target" in row else met,
        )
    return made


def platform_table(row: dict[str, Any]) -> Table:
    made = Table(title="Platform, embedded, a function that does nothing", box=SIMPLE)
    made.add_column("")
    made.add_column("", justify="right")
    start = row["event_to_start_ms"]
    p95 = f"{start['p50']} / {start['p95']} / {start['max']} ms"
    made.add_row("object stored to first line, p50 / p95 / max", p95)
    made.add_row("target for p95", f"{START_P95_MS:g} ms, {'met' if row['met'] else 'missed'}")
    made.add_row("jobs a second from a backlog, one worker process", str(row["jobs_per_s"]))
    made.add_row("jobs a second for each core of CPU time", str(row["jobs_per_s_per_core"]))
    for role, ms in row["cpu_ms_per_job"].items():
        made.add_row(f"CPU ms a job, {role}", str(ms))
    return made


def clips_table(row: dict[str, Any]) -> Table:
    made = Table(title="Instant clips, embedded, from the request until it plays", box=SIMPLE)
    made.add_column("")
    made.add_column("", justify="right")
    ready, met = row["ready_ms"], "met" if row["met"] else "missed"
    made.add_row("p50 / p95 / max", f"{ready['p50']} / {ready['p95']} / {ready['max']} ms")
    made.add_row("target for p95", f"{row['target_ms']:g} ms, {met}")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="length of the event; at least 3"
    )
    parser.add_argument("--rounds", type=int, default=3, help="ours and plain, in turns")
    parser.add_argument(
        "--only", nargs="+", choices=[*FUNCTIONS, PLATFORM, CLIPS], default=[], help="just these"
    )
    parser.add_argument("--objects", type=int, default=100, help="one at a time, for the platform")
    parser.add_argument("--backlog", type=int, default=400, help="jobs that wait, for the platform")
    parser.add_argument("--clips", type=int, default=20, help="instant ones, one after the other")
    parser.add_argument("--json", type=Path, help="also write the results here")
    given = parser.parse_args()
    results: Results = {"machine": {"load_at_start": os.getloadavg()[0], "cores": os.cpu_count()}}
    for name, row in measure(given, Console(stderr=True, highlight=False)):
        results[name] = row
        if given.json:  # after every row: a run takes minutes
            given.json.write_text(json.dumps(results, indent=1) + "\n")
    console = Console(width=WIDTH)
    if any("ours_best_s" in row for row in results.values()):
        console.print(functions_table(results))
    if PLATFORM in results:
        console.print(platform_table(results[PLATFORM]))
    if CLIPS in results:
        console.print(clips_table(results[CLIPS]))
    return 0 if all(row.get("met", True) for row in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
