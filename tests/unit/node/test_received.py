"""What came of a publisher between two looks."""

from dataclasses import replace

import pytest

from hotpath.ingest.statistics import (
    Publisher,
    RtpStatistics,
    SocketStatistics,
    SrtStatistics,
    WhipStatistics,
)
from hotpath.node.received import of_srt, of_whip, reading_of

SECOND = 1_000_000_000
ENCODER = Publisher(1, "acme", "ev_1", "main", "192.0.2.1:9000", 0)
BEFORE = of_srt(
    SrtStatistics(
        ENCODER,
        SocketStatistics(packets=1000, bytes=1_000_000, dropped=2, rate_mbps=2.5, latency_ms=120),
        video_units=100,
        at_ns=SECOND,
    )
)


def test_a_first_look_says_what_is_so_now() -> None:
    shown = reading_of(BEFORE, None, on_air=True)
    assert (shown.kbps, shown.fps, shown.lost, shown.on_air) == (2500.0, None, 0.0, True)
    assert (shown.protocol, shown.role, shown.latency_ms) == ("srt", "primary", 120)


def test_rates_and_shares_are_of_the_time_between() -> None:
    now = replace(
        BEFORE, at_ns=5 * SECOND, bytes=3_000_000, packets=1990, lost=12, resent=50, pictures=220
    )
    shown = reading_of(now, BEFORE, on_air=False)
    assert shown.kbps == 4000.0
    assert shown.fps == 30.0
    assert shown.lost == pytest.approx(0.01)
    assert shown.resent == pytest.approx(0.05)


def test_the_same_figures_twice_tell_nothing_new() -> None:
    assert reading_of(BEFORE, BEFORE, on_air=True).fps is None


def test_a_publisher_that_sent_nothing_lost_nothing() -> None:
    shown = reading_of(replace(BEFORE, at_ns=9 * SECOND, silent=True), BEFORE, on_air=True)
    assert (shown.kbps, shown.fps, shown.lost, shown.silent) == (0.0, 0.0, 0.0, True)


def test_whip_is_told_alike() -> None:
    browser = replace(ENCODER, protocol="whip")
    rtp = RtpStatistics(packets=90, missing=10, round_trip_ms=8.04, rate_mbps=1.0)
    start = of_whip(WhipStatistics(browser, RtpStatistics(), at_ns=SECOND))
    now = of_whip(WhipStatistics(browser, rtp, video_units=30, at_ns=2 * SECOND))
    shown = reading_of(now, start, on_air=True)
    assert (shown.protocol, shown.fps, shown.lost, shown.rtt_ms) == ("whip", 30.0, 0.1, 8.0)
    assert shown.latency_ms is None
