"""Which loss moves a viewer, in reports as they come: shares of a few dozen packets, by chance."""

import random

import pytest

from hotpath.fanout.choice import SECOND
from hotpath.fanout.intake import Reported
from hotpath.webrtc.rtcp import build_remb
from tests.support.viewer_session import AUDIO, RTX, VIDEO, Rig

PACKETS = {VIDEO: 250, AUDIO: 50, RTX: 12}
"""A second of 2.4 Mbit/s with sound, and what is sent again of it."""
REVIEW_S = 2


@pytest.fixture
def rig() -> Rig:
    rig = Rig().connect()
    rig.feed.have("720p", "360p")
    return rig


def moves(rig: Rig, loss: float, seconds: int, seed: int) -> list[int]:
    """When it was moved, s, with this share of all packets lost by chance; a report a second."""
    chance, found = random.Random(seed), []
    for second in range(seconds):
        rig.hear({
            ssrc: sum(chance.random() < loss for _ in range(count)) / count
            for ssrc, count in PACKETS.items()
        })  # fmt: skip
        before = len(rig.calls)
        if second % REVIEW_S == 0:
            rig.session.review(second * SECOND)
        found += [second] * (len(rig.calls) - before)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_ten_minutes_of_five_percent_loss_move_nobody(rig: Rig, seed: int) -> None:
    assert moves(rig, 0.05, 600, seed) == []


@pytest.mark.parametrize("seed", range(5))
def test_twenty_percent_loss_moves_down_within_three_seconds_and_a_review(
    rig: Rig, seed: int
) -> None:
    first, second = moves(rig, 0.2, 60, seed)
    assert first <= 3 + REVIEW_S
    assert second - first <= 3 + REVIEW_S


def test_half_the_packets_lost_leave_the_sound_alone_in_the_documented_time(rig: Rig) -> None:
    downs = moves(rig, 0.5, 25, 1)
    assert len(downs) == 3
    assert downs[2] - downs[1] <= 10 + REVIEW_S
    assert rig.calls[-1] == ("detach", "video")


@pytest.mark.parametrize("ssrc", [AUDIO, RTX])
def test_what_a_small_sample_lost_moves_nothing(rig: Rig, ssrc: int) -> None:
    for second in range(60):
        rig.hear({VIDEO: 0.05, ssrc: 0.5})
        rig.session.review(second * SECOND)
    assert rig.kernel.viewer.sees == "main"


def test_jitter_is_told_in_the_clock_of_the_picture(rig: Rig) -> None:
    """50 ms of 90 kHz, which a 48 kHz clock would take for 94: with a low estimate, bad."""
    rig.session.peer_rtcp(build_remb(1, 100_000, [VIDEO]), 0)
    for second in range(20):
        rig.hear({VIDEO: 0.0, RTX: 0.0}, jitter=4_500)
        rig.session.review(second * SECOND)
    assert rig.kernel.viewer.sees == "main"


def test_while_it_gets_sound_alone_the_sound_is_judged(rig: Rig) -> None:
    rig.report(0.5, 17)
    assert rig.calls[-1] == ("detach", "video")
    for second in range(17, 26):
        rig.hear({VIDEO: 0.5, AUDIO: 0.0})
        rig.session.review(second * SECOND)
    assert rig.calls[-1] == ("attach", "video", "keyframe")


def test_sound_that_is_lost_as_well_ends_the_session(rig: Rig) -> None:
    rig.report(0.5, 17)
    for second in range(17, 60):
        rig.hear({AUDIO: 0.5})
        rig.session.review(second * SECOND)
    assert rig.over == ["cannot-keep-up"]


@pytest.mark.parametrize("lost", [0.0, 0.0625, 0.25, 0.5])
def test_reports_that_the_kernel_has_read_are_judged_like_those_that_come(lost: float) -> None:
    rig, other = Rig().connect(), Rig().connect()
    rig.feed.have("720p", "360p")
    other.feed.have("720p", "360p")
    for second in range(60):
        other.kernel.viewer.reports.heard = Reported(1, lost, 900, 30_000_000, None)
        other.session.review(second * SECOND)
    rig.report(lost, 60)
    assert (("detach", "video") in rig.calls) == (lost > 0.12)
    assert other.calls == rig.calls
    assert other.session.round_trip_ns == rig.session.round_trip_ns == 30_000_000


def test_an_estimate_that_the_kernel_has_read_counts(rig: Rig) -> None:
    """With jitter far above the round trip it moves a viewer down, as one that comes does."""
    came = Rig().connect()
    came.feed.have("720p", "360p")
    came.session.peer_rtcp(build_remb(1, 100_000, [VIDEO]), 0)
    rig.kernel.viewer.reports.heard = Reported(0, 0.0, 0, None, 100_000)
    rig.session.review(0)
    for second in range(1, 20):
        for one in (came, rig):
            one.hear({VIDEO: 0.0}, jitter=90_000)
            one.session.review(second * SECOND)
    assert rig.kernel.viewer.sees == came.kernel.viewer.sees != "main"
