"""What a window of hours costs the origin, per rendition: size and CPU of updates, memory.

    python -m benchmarks.long_playlist

The floor beside it: the same without a window, and compressing the whole text with gzip for every
part. CPU time of this process; the media themselves are elsewhere.
"""

import gzip
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from hotpath.hls.listing import Place
from hotpath.hls.packing import LEVEL
from hotpath.hls.playlist import MediaPlaylist
from hotpath.hls.tags import Delta, Report
from hotpath.hls.text import Text

SEGMENT_US, PARTS = 2_000_000, 10
START_NS = 1_790_000_000_123_456_789
ROUNDS = 200
HOURS = (12, 2, 0)


@dataclass(frozen=True)
class Cost:
    hours: int
    segments: int
    full: int
    full_gzip: int
    delta: int
    delta_gzip: int
    full_us: float
    delta_us: float
    segment_us: float
    """Ten parts and their segment taken in, with one full update in gzip."""
    worst_segment_us: float
    whole_gzip_us: float
    memory: int


def listed(hours: int) -> MediaPlaylist:
    """A playlist whose window is full, and slides."""
    made = MediaPlaylist(
        "0mh1abcde/video/", target_duration_s=2, part_target_ms=215, window_s=hours * 3600
    )
    for msn in range(hours * 1800 + 300):
        add(made, msn)
    return made


def add(playlist: MediaPlaylist, msn: int) -> None:
    place = Place(msn, 0, 0, START_NS + msn * SEGMENT_US * 1000)
    for part in range(PARTS):
        playlist.add_part(place, part, SEGMENT_US // PARTS, independent=part == 0)
    # Frame rates are seldom round: each EXTINF differs from the one before.
    playlist.close_segment(msn, SEGMENT_US + (msn % 3 - 1) * 16_667)


def text(playlist: MediaPlaylist, delta: Delta | None = None) -> Text:
    return playlist.text([Report("audio.m3u8", 1, 3)], delta=delta)


def mean_us(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    begun = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - begun) / rounds * 1e6


def measure(hours: int) -> Cost:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    playlist = listed(hours)
    whole = text(playlist).gzipped
    memory = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    plain, delta = text(playlist).plain, text(playlist, Delta())
    full_us = mean_us(lambda: text(playlist).gzipped)
    delta_us = mean_us(lambda: text(playlist, Delta()).gzipped)
    taken: list[float] = []
    for msn in range(hours * 1800 + 300, hours * 1800 + 600):
        begun = time.process_time()
        add(playlist, msn)
        text(playlist).gzipped  # noqa: B018
        taken.append((time.process_time() - begun) * 1e6)
    return Cost(
        hours,
        playlist.duration_us // SEGMENT_US,
        len(plain),
        len(whole),
        len(delta.plain),
        len(delta.gzipped),
        full_us,
        delta_us,
        sorted(taken)[len(taken) // 2],
        max(taken),
        mean_us(lambda: gzip.compress(plain, LEVEL, mtime=0), 5),
        memory,
    )


def main() -> None:
    print(
        f"{'window':>7}{'segments':>10}{'full':>11}{'gzip':>9}{'delta':>8}{'gzip':>7}"
        f"{'full µs':>10}{'delta µs':>10}{'segment µs':>12}{'worst':>8}{'gzip all µs':>13}{'MB':>6}"
    )
    for hours in HOURS:
        c = measure(hours)
        print(
            f"{c.hours:>5} h{c.segments:>11,}{c.full:>11,}{c.full_gzip:>9,}{c.delta:>8,}"
            f"{c.delta_gzip:>7,}{c.full_us:>10.0f}{c.delta_us:>10.0f}{c.segment_us:>12.0f}"
            f"{c.worst_segment_us:>8.0f}{c.whole_gzip_us:>13.0f}{c.memory / 1e6:>6.1f}"
        )


if __name__ == "__main__":
    main()
