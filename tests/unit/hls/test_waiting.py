"""Blocked requests are counted, capped and never held too long."""

import asyncio

from hotpath.hls.waiting import BURST, Gate, Outcome, Waiter, WaitingRoom


class Noting(Waiter):
    """Knows what it was told, and in which turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Outcome] = []

    def resume(self, outcome: Outcome) -> None:
        self.told.append(outcome)

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(5):
            while not self.told:
                await asyncio.sleep(0.001)
        (only,) = self.told
        return only


def waiting(gate: Gate[int], key: int, timeout_s: float = 60) -> Noting:
    waiter = Noting()
    assert gate.wait(key, timeout_s, waiter)
    return waiter


async def test_release_lets_go_whoever_has_what_they_wait_for() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    near, far = waiting(gate, 1), waiting(gate, 5)
    assert room.count == 2
    gate.release(lambda key: key <= 3)
    assert await near.outcome() is Outcome.READY
    assert (room.count, far.told) == (1, [])
    gate.release(lambda key: True)
    assert await far.outcome() is Outcome.READY
    assert room.count == 0


async def test_nobody_is_told_while_the_gate_is_released() -> None:
    gate: Gate[int] = Gate(WaitingRoom(10))
    waiter = waiting(gate, 1)
    gate.release(lambda _: True)
    assert not waiter.told
    await asyncio.sleep(0)
    assert waiter.told


async def test_a_crowd_goes_in_bursts() -> None:
    room = WaitingRoom(1000)
    gate: Gate[int] = Gate(room)
    crowd = [waiting(gate, 1) for _ in range(BURST + 1)]
    gate.release(lambda _: True)
    await asyncio.sleep(0)
    assert sum(len(one.told) for one in crowd) == BURST
    await asyncio.sleep(0)
    assert all(one.told == [Outcome.READY] for one in crowd)
    assert room.count == 0


async def test_a_waiter_that_fails_takes_nobody_with_it() -> None:
    class Failing(Noting):
        def resume(self, outcome: Outcome) -> None:
            raise ZeroDivisionError

    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: failures.append(context["exception"])
    )
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    assert gate.wait(1, 60, Failing())
    healthy = waiting(gate, 1)
    gate.release(lambda _: True)
    assert await healthy.outcome() is Outcome.READY
    assert [type(failure) for failure in failures] == [ZeroDivisionError]
    assert room.count == 0


async def test_time_runs_out() -> None:
    room = WaitingRoom(10)
    assert await waiting(Gate(room), 1, 0.0).outcome() is Outcome.EXPIRED
    assert room.count == 0


async def test_a_full_room_admits_nobody() -> None:
    gate: Gate[int] = Gate(WaitingRoom(1))
    first, late = waiting(gate, 1), Noting()
    assert not gate.wait(1, 60, late)
    gate.release(lambda _: True)
    assert await first.outcome() is Outcome.READY
    assert not late.told


async def test_one_that_goes_by_itself_leaves_the_room_and_is_told_nothing() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    gone, called = waiting(gate, 1), waiting(gate, 2)
    gone.leave()
    assert room.count == 1
    gate.release(lambda _: True)
    called.leave()  # it has been called and not told yet
    assert room.count == 0
    await asyncio.sleep(0)
    assert (gone.told, called.told) == ([], [])
    called.leave()
    assert room.count == 0


async def test_a_waiter_that_comes_during_a_release_waits_for_the_next() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    early = waiting(gate, 1)
    gate.release(lambda _: True)
    late = waiting(gate, 1)
    assert await early.outcome() is Outcome.READY
    assert (room.count, late.told) == (1, [])
    gate.release(lambda _: True)
    assert await late.outcome() is Outcome.READY


async def test_one_that_waits_again_is_told_of_the_second_wait_alone() -> None:
    gate: Gate[int] = Gate(WaitingRoom(10))
    waiter = waiting(gate, 1)
    gate.release(lambda _: True)
    waiter.leave()
    assert gate.wait(2, 60, waiter)
    await asyncio.sleep(0)
    assert not waiter.told
    gate.release(lambda _: True)
    assert await waiter.outcome() is Outcome.READY


async def test_each_of_a_group_has_a_deadline_of_its_own() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    patient, hasty, last = waiting(gate, 1), waiting(gate, 1, 0.01), waiting(gate, 1, 0.02)
    assert await hasty.outcome() is Outcome.EXPIRED
    assert await last.outcome() is Outcome.EXPIRED
    assert (room.count, patient.told) == (1, [])
    gate.release(lambda _: True)
    assert await patient.outcome() is Outcome.READY


async def test_a_group_that_was_left_by_all_can_be_joined_again() -> None:
    gate: Gate[int] = Gate(WaitingRoom(10))
    assert await waiting(gate, 1, 0.0).outcome() is Outcome.EXPIRED
    again = waiting(gate, 1)
    gate.release(lambda _: True)
    assert await again.outcome() is Outcome.READY


async def test_a_gate_remembers_its_greatest_crowd() -> None:
    gate: Gate[int] = Gate(WaitingRoom(10))
    for key in (1, 1, 1, 2):
        waiting(gate, key)
    gate.release(lambda _: True)
    waiting(gate, 3)
    assert gate.crowd == 3
    gate.crowd = 0
    waiting(gate, 3)
    assert gate.crowd == 2
