"""What the benchmark takes from the origin's counters."""

from prometheus_client import CollectorRegistry, Counter, generate_latest

from benchmarks.hls_metrics import total


def test_series_of_a_counter_are_added_up() -> None:
    registry = CollectorRegistry()
    requests = Counter("livepath_hls_requests", "Requests.", ["kind", "status"], registry=registry)
    checks = Counter("livepath_edge_checks", "Questions.", ["status"], registry=registry)
    assert total(generate_latest(registry).decode(), "livepath_edge_checks") == 0
    for kind, count in (("playlist", 3), ("media", 40), ("ops", 500)):
        requests.labels(kind, "200").inc(count)
    checks.labels("204").inc(1_500_000)
    checks.labels("401").inc(2)
    text = generate_latest(registry).decode()
    assert total(text, "livepath_hls_requests", 'kind="(?:playlist|media)"') == 43
    assert total(text, "livepath_edge_checks") == 1_500_002
