"""Blocked requests are counted, capped and never held too long."""

import asyncio

import pytest

from hotpath.hls.waiting import Gate, Outcome, WaitingRoom


async def started(*tasks: "asyncio.Task[Outcome]") -> None:
    """The tasks have run up to their first wait."""
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_release_lets_go_whoever_has_what_they_wait_for() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    near, far = asyncio.create_task(gate.wait(1, 60)), asyncio.create_task(gate.wait(5, 60))
    await started(near, far)
    assert room.count == 2
    gate.release(lambda key: key <= 3)
    assert await near is Outcome.READY
    assert room.count == 1
    gate.release(lambda key: True)
    assert await far is Outcome.READY
    assert room.count == 0


async def test_time_runs_out() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    assert await gate.wait(1, 0.0) is Outcome.EXPIRED
    assert room.count == 0


async def test_a_full_room_admits_nobody() -> None:
    room = WaitingRoom(1)
    gate: Gate[int] = Gate(room)
    first = asyncio.create_task(gate.wait(1, 60))
    await started(first)
    assert await gate.wait(1, 60) is Outcome.FULL
    gate.release(lambda _: True)
    assert await first is Outcome.READY


async def test_a_request_that_is_cancelled_leaves_the_room() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    task = asyncio.create_task(gate.wait(1, 60))
    await started(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert room.count == 0
    gate.release(lambda _: True)


async def test_a_waiter_that_comes_during_a_release_waits_for_the_next() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    early = asyncio.create_task(gate.wait(1, 60))
    await started(early)
    gate.release(lambda _: True)
    late = asyncio.create_task(gate.wait(1, 60))
    assert await early is Outcome.READY
    await started(late)
    assert room.count == 1
    gate.release(lambda _: True)
    assert await late is Outcome.READY


async def test_each_of_a_group_has_a_deadline_of_its_own() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    patient, hasty = asyncio.create_task(gate.wait(1, 60)), asyncio.create_task(gate.wait(1, 0.01))
    last = asyncio.create_task(gate.wait(1, 0.02))
    assert await hasty is Outcome.EXPIRED
    assert await last is Outcome.EXPIRED
    assert not patient.done()
    assert room.count == 1
    gate.release(lambda _: True)
    assert await patient is Outcome.READY


async def test_a_group_that_was_left_by_all_can_be_joined_again() -> None:
    room = WaitingRoom(10)
    gate: Gate[int] = Gate(room)
    assert await gate.wait(1, 0.0) is Outcome.EXPIRED
    again = asyncio.create_task(gate.wait(1, 60))
    await started(again)
    gate.release(lambda _: True)
    assert await again is Outcome.READY
