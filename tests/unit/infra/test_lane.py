"""Calls that block, on a few threads with a bounded line."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from infra.lane import Lane, LaneFull


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the calls of a test block on; opened at its end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


async def until(reached: "list[int]", count: int) -> None:
    while len(reached) < count:
        await asyncio.sleep(0.001)


async def test_a_call_gives_its_result_or_raises_its_error() -> None:
    lane = Lane("test", 1, 1)
    assert await lane.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)
    assert await lane.run(threading.get_ident) != threading.get_ident()
    lane.close()


async def test_no_more_wait_than_may(gate: threading.Event) -> None:
    lane, begun = Lane("test", 2, 3), list[int]()

    def call(number: int) -> int:
        begun.append(number)
        gate.wait(10)
        return number

    calls = [asyncio.create_task(lane.run(lambda n=n: call(n))) for n in range(5)]
    await until(begun, 2)
    assert lane.waiting == 3
    with pytest.raises(LaneFull):
        await lane.run(lambda: 0)
    assert sorted(begun) == [0, 1]
    gate.set()
    assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]
    assert lane.waiting == 0
    lane.close()


async def test_one_who_gives_up_waits_no_more_and_frees_no_thread(gate: threading.Event) -> None:
    lane, begun = Lane("test", 1, 2), list[int]()

    def hang() -> None:
        begun.append(0)
        gate.wait(10)

    hanging = asyncio.create_task(lane.run(hang))
    await until(begun, 1)
    waiting = asyncio.create_task(lane.run(lambda: begun.append(1)))
    await asyncio.sleep(0)
    for task in (hanging, waiting):
        task.cancel()
    await asyncio.wait([hanging, waiting])
    assert lane.waiting == 0
    later = asyncio.create_task(lane.run(lambda: begun.append(2)))
    await asyncio.sleep(0.01)
    assert begun == [0], "the thread still hangs"
    gate.set()
    await later
    assert begun == [0, 2], "what was given up before it began never runs"
    lane.close()


async def test_an_error_that_nobody_waits_for_is_quiet(gate: threading.Event) -> None:
    lane, begun = Lane("test", 1, 1), list[int]()

    def fail() -> None:
        begun.append(0)
        gate.wait(10)
        raise RuntimeError("too late")

    failing = asyncio.create_task(lane.run(fail))
    await until(begun, 1)
    failing.cancel()
    await asyncio.wait([failing])
    gate.set()
    assert await lane.run(lambda: 1) == 1
    lane.close()


async def test_it_closes_while_a_thread_hangs(gate: threading.Event) -> None:
    lane, begun = Lane("test", 1, 1), list[int]()

    def hang() -> None:
        begun.append(0)
        gate.wait(10)

    hanging = asyncio.create_task(lane.run(hang))
    await until(begun, 1)
    lane.close()
    with pytest.raises(asyncio.CancelledError):
        await hanging
