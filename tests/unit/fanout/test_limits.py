"""Who may join, and that nobody is let in past what was measured."""

import pytest

from hotpath.fanout.limits import SECOND, Cause, Gate, Limits, Load, Measured, Place, Rate

OPEN = Limits(viewers=100, joins_per_second=1000, join_burst=1000, busy=0.85)


def joined(gate: Gate, count: int, now: int = 0) -> list[Cause | None]:
    answers = [gate.join("ev_1", "192.0.2.1", now) for _ in range(count)]
    return [refused.cause if refused else None for refused in answers]


@pytest.mark.parametrize(
    ("limits", "cause"),
    [
        (Limits(viewers=2), Cause.NODE_FULL),
        (Limits(viewers_per_event=2), Cause.EVENT_FULL),
        (Limits(viewers_per_address=2), Cause.ADDRESS_FULL),
        (Limits(joins_per_second=1, join_burst=2), Cause.JOIN_RATE),
        (Limits(address_joins_per_second=1, address_join_burst=2), Cause.ADDRESS_RATE),
        (Limits(address_connecting=2), Cause.ADDRESS_CONNECTING),
    ],
)
def test_the_third_viewer_is_refused_with_the_cause(limits: Limits, cause: Cause) -> None:
    gate = Gate(limits)
    assert joined(gate, 3) == [None, None, cause]
    assert gate.viewers == 2


def test_who_leaves_makes_room_for_one() -> None:
    gate = Gate(Limits(viewers=1))
    assert joined(gate, 1) == [None]
    gate.leave("ev_1", "192.0.2.1", connected=False)
    assert joined(gate, 2) == [None, Cause.NODE_FULL]


def test_other_events_and_addresses_have_room_of_their_own() -> None:
    gate = Gate(Limits(viewers_per_event=1, viewers_per_address=1))
    assert gate.join("ev_1", "192.0.2.1", 0) is None
    assert gate.join("ev_2", "192.0.2.2", 0) is None


def test_refusals_do_not_use_up_the_join_rate() -> None:
    gate = Gate(Limits(viewers=1, joins_per_second=1, join_burst=2))
    assert joined(gate, 50)[1:] == [Cause.NODE_FULL] * 49
    gate.leave("ev_1", "192.0.2.1", connected=False)
    assert joined(gate, 1) == [None]


@pytest.mark.parametrize(
    ("limits", "gone", "cause"),
    [
        (Limits(viewers=1), Place("ev_1", "192.0.2.1"), None),
        (Limits(viewers=1), Place("ev_9", "192.0.2.9"), None),
        (Limits(viewers_per_event=1), Place("ev_1", "192.0.2.1"), None),
        (Limits(viewers_per_event=1), Place("ev_9", "192.0.2.9"), Cause.EVENT_FULL),
        (Limits(viewers_per_address=1), Place("ev_1", "192.0.2.1"), None),
        (Limits(viewers_per_address=1), Place("ev_1", "192.0.2.9"), Cause.ADDRESS_FULL),
        (Limits(joins_per_second=1, join_burst=1), Place("ev_1", "192.0.2.1"), Cause.JOIN_RATE),
    ],
)
def test_who_takes_anothers_place_needs_no_room_of_its_own(
    limits: Limits, gone: Place, cause: Cause | None
) -> None:
    gate = Gate(limits)
    assert joined(gate, 1) == [None]
    refused = gate.join("ev_1", "192.0.2.1", 0, instead_of=gone)
    assert (refused.cause if refused else None) is cause


def test_who_takes_anothers_place_adds_no_load() -> None:
    gate = Gate(Limits())
    gate.load = loaded(0.9, 300)
    refused = gate.join("ev_1", "192.0.2.1", 0)
    assert refused is not None
    assert refused.cause is Cause.OVERLOADED
    assert gate.join("ev_1", "192.0.2.1", 0, instead_of=Place("ev_2", "192.0.2.9")) is None


def test_the_rate_allows_a_burst_and_then_one_at_a_time() -> None:
    rate, taken = Rate(10, 5), []
    for step in range(40):
        now = step * SECOND // 20
        if rate.wait_ns(now) == 0:
            rate.take(now)
            taken.append(step)
    assert taken[:9] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert len(taken) == 5 + 19


def test_one_address_that_floods_leaves_the_others_their_joins() -> None:
    """200 offers a second for a minute, each refused one tried again, and none connects."""
    gate, others = Gate(Limits()), 0
    for step in range(200 * 60):
        now = step * SECOND // 200
        gate.join("ev_1", "192.0.2.1", now)
        if step % 4 == 0:
            address = f"198.51.100.{step % 250}"
            refused = gate.join("ev_1", address, now)
            others += refused is None
            if refused is None:
                gate.connected(address)
                gate.leave("ev_1", address, connected=True)
    assert others == 50 * 60
    assert gate.viewers == Limits().address_connecting


def test_an_office_that_waits_for_an_event_gets_in_at_once() -> None:
    assert joined(Gate(Limits()), 150) == [None] * 150


def test_who_has_connected_counts_no_longer_as_connecting() -> None:
    gate = Gate(Limits(address_connecting=2))
    assert joined(gate, 2) == [None, None]
    gate.connected("192.0.2.1")
    assert joined(gate, 2) == [None, Cause.ADDRESS_CONNECTING]
    gate.leave("ev_1", "192.0.2.1", connected=True)
    assert joined(gate, 1) == [Cause.ADDRESS_CONNECTING]
    gate.leave("ev_1", "192.0.2.1", connected=False)
    assert joined(gate, 1) == [None]
    assert gate.join("ev_1", "192.0.2.2", 0) is None


def test_what_is_switched_off_refuses_nobody() -> None:
    off = Limits(
        viewers_per_address=0,
        joins_per_second=100_000,
        join_burst=100_000,
        address_joins_per_second=0,
        address_join_burst=0,
        address_connecting=0,
    )
    assert joined(Gate(off), 2_000) == [None] * 2_000


@pytest.mark.parametrize(
    "limits",
    [
        Limits(joins_per_second=1, join_burst=1),
        Limits(address_joins_per_second=1, address_join_burst=1),
    ],
)
def test_a_refused_join_says_when_to_come_back(limits: Limits) -> None:
    gate = Gate(limits)
    gate.join("ev_1", "192.0.2.1", 0)
    refused = gate.join("ev_1", "192.0.2.1", 0)
    assert refused is not None
    assert gate.join("ev_1", "192.0.2.1", refused.retry_after_s * SECOND) is None


def loaded(
    share: float, viewers: int, delay_ns: int = 0, *, process: float = 0.0, dropped: float = 0.0
) -> Load:
    """After four seconds; `process` and `dropped` are shares of two cores and of the frames."""
    load = Load(0.85, 150, cores=2)
    for second in range(4):
        busiest = int(second * SECOND * share)
        used = int(second * SECOND * process * 2)
        lost = int(second * 10_000 * dropped)
        load.receive(
            Measured(
                second * SECOND,
                (busiest // 2, busiest),
                used,
                viewers,
                delay_ns,
                second * 10_000 - lost,
                lost,
            )
        )
    return load


def test_the_busiest_thread_decides() -> None:
    assert loaded(0.8, 100).share == pytest.approx(0.8)
    assert loaded(0.8, 100).problem(100) is None
    assert loaded(0.9, 100).problem(100) is not None


def test_what_shares_the_cores_with_the_threads_counts_too() -> None:
    assert loaded(0.5, 100, process=0.8).share == pytest.approx(0.8)
    assert loaded(0.5, 100, process=0.9).problem(100) is not None


def test_a_busy_node_whose_frames_come_too_late_takes_nobody_in() -> None:
    assert loaded(0.5, 100, dropped=0.01).problem(100) == (
        "1.0% of all frames reach their viewers too late"
    )


def test_a_slow_path_on_an_idle_node_keeps_nobody_out() -> None:
    assert loaded(0.1, 100, dropped=0.05).problem(100) is None


def test_load_is_expected_to_grow_with_the_viewers_that_came_since() -> None:
    load = loaded(0.5, 100)
    assert load.problem(150) is None
    assert load.problem(180) is not None


def test_what_joins_cost_is_not_expected_to_grow_with_the_viewers() -> None:
    """A rush of joins is busy with handshakes, and the viewers there are come from it."""
    load = loaded(0.2, 100, process=0.3)
    assert load.expected(290) == pytest.approx(0.585)
    assert load.problem(290) is None
    assert load.problem(450) is not None


def test_a_few_viewers_predict_nothing() -> None:
    assert loaded(0.1, 2).problem(200) is None


def test_late_frames_refuse_joins_though_the_thread_is_idle() -> None:
    assert loaded(0.1, 100, 200_000_000).problem(100) == "frames reach the socket 200 ms late"


def test_load_that_has_passed_is_forgotten() -> None:
    load = loaded(0.95, 100)
    for second in range(4, 12):
        load.receive(Measured(second * SECOND, (0, int(3 * SECOND * 0.95)), 0, 100))
    assert load.problem(100) is None


def test_overload_refuses_joins_and_leaves_viewers_alone() -> None:
    gate = Gate(OPEN)
    joined(gate, 30)
    for second in range(4):
        gate.load.receive(Measured(second * SECOND, (second * SECOND,), 0, gate.viewers))
    assert joined(gate, 1, 5 * SECOND) == [Cause.OVERLOADED]
    assert gate.viewers == 30
