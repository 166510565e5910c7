"""When a publisher is asked for a keyframe."""

import itertools

from hotpath.ingest.keyframes import MIN_GAP_NS, KeyframeRequests

SECOND = 1_000_000_000
STEP = 10_000_000
INTERVAL = 2 * SECOND


def asked(requests: KeyframeRequests, begin: int, end: int) -> list[int]:
    """When `requests` ask between `begin` and `end`, polled every 10 ms."""
    return [at for at in range(begin, end, STEP) if requests.poll(at)]


def test_a_browser_is_asked_once_an_interval() -> None:
    requests = KeyframeRequests(INTERVAL, fir=False)
    requests.start(0)
    requests.receive_keyframe(0)
    times = []
    for at in range(0, 20 * SECOND, STEP):
        if requests.poll(at):
            times.append(at)
            requests.receive_keyframe(at + STEP)
    gaps = {b - a for a, b in itertools.pairwise(times)}
    assert times[0] == INTERVAL + 150_000_000
    assert len(gaps) == 1
    assert INTERVAL - 2 * 100_000_000 < gaps.pop() < INTERVAL


def test_an_encoder_that_sends_keyframes_often_enough_is_never_asked() -> None:
    requests = KeyframeRequests(INTERVAL, fir=True)
    requests.start(0)
    for at in range(0, 60 * SECOND, INTERVAL):
        requests.receive_keyframe(at)
        assert asked(requests, at, at + INTERVAL) == []


def test_a_first_keyframe_that_does_not_come_is_soon_asked_for() -> None:
    requests = KeyframeRequests(INTERVAL, fir=False)
    assert requests.next_deadline() is None
    requests.start(0)
    assert asked(requests, 0, SECOND) == [300_000_000]
    requests = KeyframeRequests(INTERVAL, fir=False)
    requests.start(0)
    requests.want(STEP)
    assert asked(requests, 0, SECOND) == [STEP]


def test_damage_is_reported_at_once_and_at_most_once_a_second() -> None:
    requests = KeyframeRequests(INTERVAL, fir=False)
    requests.receive_keyframe(0)
    requests.want(SECOND)
    times = asked(requests, SECOND, 5 * SECOND)
    assert times == [SECOND + n * MIN_GAP_NS for n in range(4)]
    requests.receive_keyframe(5 * SECOND)
    assert asked(requests, 5 * SECOND, 6 * SECOND) == []
    assert requests.unanswered == 0


def test_where_pli_goes_unanswered_fir_is_tried_too() -> None:
    requests = KeyframeRequests(INTERVAL, fir=True)
    requests.start(0)
    sent = [requests.poll(n * SECOND) for n in range(1, 5)]
    assert sent == [("pli",), ("pli",), ("pli", "fir"), ("pli", "fir")]
