"""The estimate a publisher is told."""

from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.bitrate import BitrateEstimate, BitrateLimits

LIMITS = BitrateLimits(start_bps=4_000_000, floor_bps=150_000, ceiling_bps=8_000_000)


def test_it_starts_high_and_grows_to_the_ceiling_while_it_is_used() -> None:
    estimate = BitrateEstimate(LIMITS)
    assert estimate.bps == 4_000_000
    for _ in range(30):
        estimate.receive(500, 0, estimate.bps)
    assert estimate.bps == 8_000_000


def test_it_does_not_grow_on_what_was_not_tried() -> None:
    estimate = BitrateEstimate(LIMITS)
    for _ in range(30):
        estimate.receive(100, 0, 500_000)
    assert estimate.bps == 4_000_000


def test_some_loss_holds_it_and_much_loss_lowers_it_below_what_arrives() -> None:
    estimate = BitrateEstimate(LIMITS)
    assert estimate.receive(1000, 50, 4_000_000) == 4_000_000
    assert estimate.receive(1000, 200, 3_000_000) == 2_700_000


def test_a_growing_queue_lowers_it_before_anything_is_lost() -> None:
    estimate = BitrateEstimate(LIMITS)
    assert estimate.receive(100, 0, 1_000_000, queue_ms=200.0) == 850_000
    assert estimate.receive(100, 0, 850_000, queue_ms=50.0) == 850_000
    assert estimate.receive(100, 0, 850_000, queue_ms=5.0) == 918_000


def test_nothing_received_says_nothing() -> None:
    assert BitrateEstimate(LIMITS).receive(0, 0, 0) == 4_000_000


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-10, 10**6), st.integers(0, 10**9))))
def test_it_stays_within_its_limits(seconds: list[tuple[int, int, int]]) -> None:
    estimate = BitrateEstimate(LIMITS)
    for expected, lost, rate in seconds:
        assert 150_000 <= estimate.receive(expected, lost, rate) <= 8_000_000
