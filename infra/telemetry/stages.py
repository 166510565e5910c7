"""How old a unit is when it leaves each stage of the data path.

One histogram, `livepath_stage_seconds{stage}`: seconds between a unit's `ingest_ns` and the moment
it was demuxed, published on the bus, sent to WebRTC viewers, packaged into a part, or acknowledged
by the object store.
Written by the hot path, read back from `/metrics` by `livepath demo` and the benchmarks, and by the
media node itself for its readings.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

Stage = Literal["demuxed", "published", "sent", "packaged", "uploaded"]
STAGES: tuple[Stage, ...] = get_args(Stage)
METRIC = "livepath_stage_seconds"
QUANTILES = (0.5, 0.95)

# 0.25 ms to 60 s in steps of a factor 1.25, so that an interpolated quantile is within a few
# percent of the true one.
BUCKETS: tuple[float, ...] = (*(0.00025 * 1.25**step for step in range(56)), 60.0)

_SECONDS = Histogram(METRIC, "Age of a unit when it leaves a stage, s.", ["stage"], buckets=BUCKETS)
_CHILDREN = {stage: _SECONDS.labels(stage) for stage in STAGES}


def observe_stage(stage: Stage, seconds: float) -> None:
    """Count one unit that left `stage` `seconds` after it came in; a negative age counts as 0."""
    _CHILDREN[stage].observe(max(seconds, 0.0))


def quantile(buckets: Iterable[tuple[float, float]], q: float) -> float | None:
    """The `q` quantile of cumulative `(upper bound, count)` buckets, linear inside a bucket.

    None when nothing was observed. Values above the last finite bound are reported as that bound.
    """
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] <= 0:
        return None
    rank = q * ordered[-1][1]
    for (lower, below), (upper, count) in itertools.pairwise([(0.0, 0.0), *ordered]):
        if count >= rank and count > below:
            if math.isinf(upper):
                return lower
            return lower + (upper - lower) * (rank - below) / (count - below)
    return None


def stage_quantiles(metrics_text: str) -> dict[str, dict[str, float]]:
    """`{stage: {"p50": ms, "p95": ms}}` of every stage that a `/metrics` text has units of."""
    buckets: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for family in text_string_to_metric_families(metrics_text):
        for sample in family.samples:
            if sample.name == f"{METRIC}_bucket":
                bound = float(sample.labels["le"])
                buckets[sample.labels["stage"]].append((bound, sample.value))
    return _milliseconds(buckets, "")


class Recent:
    """Quantiles of what this process observed between two looks."""

    def __init__(self) -> None:
        self._before: Mapping[str, Mapping[float, float]] = {}

    def look(self) -> dict[str, dict[str, float]]:
        """`{stage: {"p50_ms": …, "p95_ms": …}}` of every stage that units have left since the last
        look, or since the start."""
        now: dict[str, dict[float, float]] = defaultdict(dict)
        for family in _SECONDS.collect():
            for sample in family.samples:
                if sample.name == f"{METRIC}_bucket":
                    now[sample.labels["stage"]][float(sample.labels["le"])] = sample.value
        before, self._before = self._before, now
        return _milliseconds(
            {
                stage: [(le, n - before.get(stage, {}).get(le, 0.0)) for le, n in counts.items()]
                for stage, counts in now.items()
            },
            "_ms",
        )


def _milliseconds(
    buckets: Mapping[str, Iterable[tuple[float, float]]], unit: str
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for stage, counts in buckets.items():
        values = {f"p{q * 100:.0f}{unit}": quantile(counts, q) for q in QUANTILES}
        known = {name: value * 1000 for name, value in values.items() if value is not None}
        if known:
            found[stage] = known
    return found
