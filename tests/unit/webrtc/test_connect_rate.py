"""How often one address may try."""

from hotpath.webrtc.connect_rate import ConnectRate

SECOND = 1_000_000_000


def test_an_address_has_a_burst_and_then_its_rate() -> None:
    rate = ConnectRate(per_s=1.0, burst=3.0)
    assert [rate.take("a", 0) for _ in range(4)] == [True, True, True, False]
    assert [rate.take("a", SECOND), rate.take("a", SECOND)] == [True, False]
    assert rate.take("b", SECOND)
    assert [rate.take("a", 60 * SECOND) for _ in range(4)] == [True, True, True, False]


def test_how_long_to_wait_is_told_and_takes_nothing() -> None:
    rate = ConnectRate(per_s=2.0, burst=1.0)
    assert [rate.wait_ns("a", 0) for _ in range(3)] == [0, 0, 0]
    assert rate.take("a", 0)
    wait = rate.wait_ns("a", 0)
    assert abs(wait - SECOND // 2) <= 1
    assert rate.wait_ns("b", 0) == 0
    assert rate.wait_ns("a", wait) == 0
    assert rate.take("a", wait)


def test_addresses_without_end_take_bounded_memory() -> None:
    rate = ConnectRate(per_s=1.0, burst=1.0)
    for n in range(10_000):
        rate.take(str(n), 0)
    assert len(rate._buckets) == 4096
    assert not rate.take("9999", 0)


def test_a_flood_of_refusals_is_told_once_a_minute_and_address() -> None:
    rate = ConnectRate(per_s=0.001, burst=1.0)
    told = []
    for second in range(130):
        for address in ("a", "b"):
            if not rate.take(address, second * SECOND) and rate.tells(address, second * SECOND):
                told.append((address, second))
    assert told == [("a", 1), ("b", 1), ("a", 61), ("b", 61), ("a", 121), ("b", 121)]
    assert not rate.tells("stranger", 0)
