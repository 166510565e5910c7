"""What is still owed of segments that were listed: draft-pantos-hls-rfc8216bis 6.2.2."""

from hotpath.hls.past import Kept, Past

DURATION = 2000


def past(segments: int, promised_ms: int = 0) -> Past:
    made = Past()
    for msn in range(64, 64 + segments):
        made.add(msn, 1000 + msn, DURATION, promised_ms)
    return made


def test_what_is_listed_stays_however_long_that_is() -> None:
    one = past(3, promised_ms=5000)
    for now_ms in (0, 4999, 5000, 10**9):
        kept = one.find(65, now_ms)
        assert kept is not None
        assert kept.bytes == 1065
        assert kept.expires_ms is not None
        assert kept.expires_ms >= max(5000, now_ms + DURATION)


def test_what_left_stays_for_its_duration_and_the_longest_playlist() -> None:
    one = past(40)
    assert one.unlist((64, 65), 20_000, 100_000) == [
        (64, 100_000 + DURATION + 24_000),
        (65, 100_000 + DURATION + 24_000),
    ]
    assert one.find(65, 125_999) == Kept(1065, 126_000)
    assert one.find(65, 126_000) is None
    # A playlist that was longer once holds on to what it listed, too.
    assert one.unlist((66,), 10_000, 200_000) == [(66, 200_000 + DURATION + 24_000)]


def test_nothing_goes_before_it_was_said_to() -> None:
    one = past(2, promised_ms=10**6)
    assert one.unlist((64,), 2000, 0) == [(64, 10**6)]


def test_a_gap_and_what_never_was_cannot_be_had() -> None:
    one = past(2)
    one.add(66, 0, DURATION, 10**9)
    assert one.find(66, 0) is None
    assert one.find(63, 0) is None
    assert one.find(67, 0) is None
    assert Past().find(0, 0) is None


def test_what_can_no_longer_be_had_is_forgotten() -> None:
    one = Past()
    for msn in range(1000):
        one.add(msn, 1, DURATION, 0)
        if msn >= 10:
            one.unlist((msn - 10,), 20_000, msn * DURATION)
        assert len(one) < 10 + 13 + 64
    assert one.find(999, 999 * DURATION) is not None
    assert one.find(500, 999 * DURATION) is None
    assert one.find(985, 999 * DURATION) is not None
