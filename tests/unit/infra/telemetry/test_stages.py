import random

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from infra.telemetry.stages import (
    BUCKETS,
    METRIC,
    Recent,
    observe_stage,
    quantile,
    stage_quantiles,
)


def test_quantile_interpolates_inside_the_bucket() -> None:
    assert quantile([(1.0, 0.0), (2.0, 10.0), (float("inf"), 10.0)], 0.5) == pytest.approx(1.5)


def test_quantile_of_nothing_is_none() -> None:
    assert quantile([(1.0, 0.0), (float("inf"), 0.0)], 0.5) is None
    assert quantile([], 0.5) is None


def test_quantile_above_the_last_bound_is_that_bound() -> None:
    assert quantile([(1.0, 0.0), (2.0, 0.0), (float("inf"), 4.0)], 0.95) == 2.0


def test_buckets_rise_from_a_quarter_millisecond_to_a_minute() -> None:
    assert BUCKETS[0] == 0.00025
    assert BUCKETS[-1] == 60.0
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_quantiles_read_from_metrics_text_are_close_to_the_true_ones() -> None:
    registry = CollectorRegistry()
    histogram = Histogram(METRIC, "x", ["stage"], buckets=BUCKETS, registry=registry)
    rng = random.Random(7)
    ages = sorted(rng.gammavariate(3, 0.02) for _ in range(5000))
    for age in ages:
        histogram.labels("packaged").observe(age)
    found = stage_quantiles(generate_latest(registry).decode())
    assert found["packaged"]["p50"] == pytest.approx(ages[2500] * 1000, rel=0.05)
    assert found["packaged"]["p95"] == pytest.approx(ages[4750] * 1000, rel=0.05)


def test_a_negative_age_counts_as_zero() -> None:
    def youngest() -> float:
        labels = {"stage": "uploaded", "le": str(BUCKETS[0])}
        return REGISTRY.get_sample_value(f"{METRIC}_bucket", labels) or 0.0

    before = youngest()
    observe_stage("uploaded", -1.0)
    assert youngest() == before + 1
    assert "uploaded" in stage_quantiles(generate_latest().decode())


def test_text_without_stages_gives_nothing() -> None:
    assert stage_quantiles("# TYPE other counter\nother_total 3\n") == {}


def test_a_look_sees_what_came_since_the_last_one() -> None:
    recent = Recent()
    observe_stage("demuxed", 30.0)
    recent.look()
    assert "demuxed" not in recent.look()
    for _ in range(100):
        observe_stage("demuxed", 0.02)
    found = recent.look()["demuxed"]
    assert found["p50_ms"] == pytest.approx(20, rel=0.25)
    assert found["p95_ms"] == pytest.approx(20, rel=0.25)
