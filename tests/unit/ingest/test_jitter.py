"""The reorder buffer: order, repair, giving up, and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.jitter import MAX_REQUESTS, UNREPAIRABLE, Arrival, JitterBuffer, Lost
from hotpath.webrtc.rtp import RtpPacket

MS = 1_000_000


def packet(sequence: int, payload: bytes = b"x") -> RtpPacket:
    return RtpPacket(96, False, sequence & 0xFFFF, 0, 1, payload)


def retransmission(sequence: int) -> RtpPacket:
    return packet(7, (sequence & 0xFFFF).to_bytes(2, "big") + b"again")


def left(buffer: JitterBuffer, now: int) -> list[int | tuple[int, int]]:
    """Sequence numbers (16 bits) that leave; a loss as (first, count)."""
    return [
        (item.first & 0xFFFF, item.count) if isinstance(item, Lost) else item.packet.sequence
        for item in buffer.poll(now)
    ]


def fed(*sequences: int, nack: bool = True, now: int = 0) -> JitterBuffer:
    buffer = JitterBuffer(nack=nack, min_hold_ns=100 * MS, max_hold_ns=100 * MS, start_hold_ns=0)
    for sequence in sequences:
        buffer.receive(packet(sequence), 5, now)
    return buffer


def test_packets_in_order_leave_at_once() -> None:
    buffer = fed(65534, 65535, 0)
    items = buffer.poll(0)
    assert [i.sequence for i in items if isinstance(i, Arrival)] == [65534, 65535, 65536]
    assert buffer.next_deadline() is None


def test_the_first_packet_waits_for_those_it_overtook() -> None:
    buffer = JitterBuffer(nack=True)
    for sequence in (2, 3, 65535, 1):
        buffer.receive(packet(sequence), 5, 0)
    assert left(buffer, 19 * MS) == []
    assert buffer.nacks(5 * MS) == [0]
    assert buffer.next_deadline() == 20 * MS
    buffer.receive(packet(0), 5, 6 * MS)
    assert left(buffer, 20 * MS) == [65535, 0, 1, 2, 3]
    buffer.receive(packet(65534), 5, 20 * MS)
    assert left(buffer, 21 * MS) == []
    assert buffer.counts.late == 1


def test_packets_that_overtook_each_other_wait_for_the_slower_one_unasked() -> None:
    buffer = fed(1, 3)
    assert left(buffer, 0) == [1]
    assert buffer.nacks(4 * MS) == []
    buffer.receive(packet(2), 5, 4 * MS)
    assert left(buffer, 4 * MS) == [2, 3]
    assert buffer.counts.lost == 0


def test_rfc4585_6_2_1_missing_packets_are_asked_for_again_after_a_round_trip() -> None:
    buffer = JitterBuffer(nack=True, start_hold_ns=0)
    buffer.set_round_trip(80 * MS)
    for sequence in (65535, 2):
        buffer.receive(packet(sequence), 5, 0)
    assert buffer.next_deadline() == 5 * MS
    assert buffer.nacks(5 * MS) == [0, 1]
    assert buffer.nacks(6 * MS) == []
    assert buffer.next_deadline() == 125 * MS
    assert buffer.nacks(125 * MS) == [0, 1]
    assert buffer.counts.asked == 4


def test_rfc4588_4_a_retransmission_takes_the_place_of_its_original() -> None:
    buffer = fed(1, 3)
    buffer.receive_rtx(retransmission(2), 9, 20 * MS)
    items = buffer.poll(20 * MS)
    assert [i.packet.payload for i in items if isinstance(i, Arrival)] == [b"x", b"again", b"x"]
    assert items[1] == Arrival(packet(2, b"again"), 2, 9, 20 * MS)
    assert buffer.counts.repaired == 1
    assert buffer.next_deadline() is None


def test_retransmissions_nobody_waits_for_change_nothing() -> None:
    buffer = fed(1, 2)
    for rtx in (retransmission(2), retransmission(900), packet(7, b""), packet(7, b"\0\1")):
        buffer.receive_rtx(rtx, 5, 0)
    assert left(buffer, 0) == [1, 2]
    assert JitterBuffer(nack=True, start_hold_ns=0).receive_rtx(retransmission(1), 5, 0) is None


@pytest.mark.parametrize("nack", [True, False])
def test_what_does_not_come_is_given_up_after_the_hold_time(nack: bool) -> None:
    buffer = fed(1, 4, nack=nack)
    assert left(buffer, 99 * MS) == [1]
    assert left(buffer, 100 * MS) == [(2, 2), 4]
    assert buffer.counts.lost == 2
    buffer.receive(packet(3), 5, 101 * MS)
    assert left(buffer, 101 * MS) == []
    assert buffer.counts.late == 1


def test_requests_end() -> None:
    buffer = JitterBuffer(
        nack=True, min_hold_ns=10_000 * MS, max_hold_ns=10_000 * MS, start_hold_ns=0
    )
    buffer.set_round_trip(0)
    for sequence in (1, 3):
        buffer.receive(packet(sequence), 5, 0)
    asked = sum(len(buffer.nacks(now * MS)) for now in range(0, 9_000, 5))
    assert asked == MAX_REQUESTS
    assert buffer.next_deadline() == 10_000 * MS


def test_duplicates_leave_once() -> None:
    buffer = fed(1, 1, 3, 3)
    assert left(buffer, 0) == [1]
    buffer.receive(packet(2), 5, 0)
    buffer.receive(packet(2), 5, 0)
    assert left(buffer, 0) == [2, 3]
    assert buffer.counts.duplicates == 3


def test_an_outage_is_not_asked_for_and_not_waited_for() -> None:
    buffer = fed(1, UNREPAIRABLE + 3)
    assert left(buffer, 0) == [1, (2, UNREPAIRABLE + 1), UNREPAIRABLE + 3]
    assert buffer.nacks(50 * MS) == []


def test_an_outage_behind_a_gap_leaves_with_the_gap() -> None:
    buffer = fed(1, 3, 1000)
    assert buffer.nacks(5 * MS) == [2]
    assert left(buffer, 5 * MS) == [1]
    assert (buffer.next_deadline() or 0) > 5 * MS
    assert left(buffer, 100 * MS) == [(2, 1), 3, (4, 996), 1000]


def test_a_wait_ends_when_the_buffer_is_full() -> None:
    buffer = JitterBuffer(nack=True, max_packets=10, start_hold_ns=0)
    for sequence in (1, *range(3, 14)):
        buffer.receive(packet(sequence), 5, 0)
    assert left(buffer, 0) == [1, (2, 1), *range(3, 14)]


def test_rfc3550_a_1_a_jump_is_believed_when_the_next_packet_follows_it() -> None:
    buffer = fed(1, 2, 30_000)
    assert left(buffer, 0) == [1, 2]
    buffer.receive(packet(3), 5, 0)
    buffer.receive(packet(40_000), 5, 0)
    assert left(buffer, 0) == [3]
    buffer.receive(packet(40_001), 5, 0)
    assert left(buffer, 0) == [(4, 39_997), 40_001]
    assert buffer.counts.resets == 1
    buffer.receive(packet(39_999), 5, 0)
    buffer.receive(packet(40_002), 5, 0)
    assert left(buffer, 0) == [40_002]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["media", "rtx", "poll"]),
            st.integers(0, 65535) | st.integers(100, 140),
            st.integers(0, 200),
        ),
        max_size=120,
    ),
    st.booleans(),
)
def test_any_arrivals_leave_in_order_once_and_without_silent_gaps(
    steps: list[tuple[str, int, int]], nack: bool
) -> None:
    buffer = JitterBuffer(nack=nack, max_packets=64)
    now, expected = 0, None
    for kind, sequence, wait in steps:
        now += wait * MS
        if kind == "media":
            buffer.receive(packet(sequence), now, now)
        elif kind == "rtx":
            buffer.receive_rtx(retransmission(sequence), now, now)
        asked = buffer.nacks(now)
        assert len(set(asked)) == len(asked)
        for item in buffer.poll(now):
            first, count = (
                (item.first, item.count) if isinstance(item, Lost) else (item.sequence, 1)
            )
            assert count > 0
            assert expected is None or first == expected
            expected = first + count
        buffer.nacks(now)
        deadline = buffer.next_deadline()
        assert deadline is None or now < deadline <= now + 500 * MS
        assert len(buffer._held) <= 65
        assert len(buffer._missing) <= 3000 + 64


@given(st.sets(st.integers(1, 199)))
def test_what_is_repaired_leaves_as_it_was_sent(lost: set[int]) -> None:
    buffer = JitterBuffer(nack=True, start_hold_ns=0)
    now, out = 0, list[int]()
    for sequence in range(200):
        now += MS
        if sequence not in lost:
            buffer.receive(packet(65500 + sequence), now, now)
        for asked in buffer.nacks(now):
            buffer.receive_rtx(retransmission(asked), now, now)
        out += [i.sequence for i in buffer.poll(now) if isinstance(i, Arrival)]
    buffer.receive(packet(65700), now, now)
    for asked in buffer.nacks(now + 10 * MS):
        buffer.receive_rtx(retransmission(asked), now, now)
    out += [i.sequence for i in buffer.poll(now) if isinstance(i, Arrival)]
    assert out == list(range(65500, 65701))
