"""Ladders that begin at once are never given more than the machine has."""

import asyncio

import pytest

from hotpath.encode.shares import Share, SharedCores


async def soon(task: "asyncio.Task[Share]") -> bool:
    """Whether it is done when everybody has had a turn."""
    for _ in range(10):
        await asyncio.sleep(0)
    return task.done()


async def test_each_is_given_what_the_others_have_left() -> None:
    cores = SharedCores(2.0)
    asking = [asyncio.create_task(cores.ask()) for _ in range(3)]
    given = []
    for n, takes in enumerate((0.5, 1.25, 0.25)):
        assert await soon(asking[n])
        assert not any([await soon(task) for task in asking[n + 1 :]])
        share = await asking[n]
        given.append(share.given)
        assert cores.taken <= 2.0
        share.settle(takes)
    assert given == [2.0, 1.5, 0.25]
    assert cores.taken == 2.0


@pytest.mark.parametrize("answer", [True, False])
async def test_one_that_goes_gives_all_of_it_back_and_its_turn(answer: bool) -> None:
    cores = SharedCores(2.0)
    first, second = await cores.ask(), asyncio.create_task(cores.ask())
    if answer:
        first.settle(1.5)
        assert (await second).given == 0.5
        first.close()
    else:
        assert not await soon(second)
        first.close()
        assert (await second).given == 2.0
    first.close()
    first.settle(1.0)  # too late: it is gone
    assert cores.taken == (await second).given


async def test_one_that_does_not_answer_keeps_its_share_and_holds_up_nobody() -> None:
    cores = SharedCores(2.0, answer_s=0.01)
    silent = await cores.ask()
    second = await cores.ask()
    assert (silent.taken, second.given) == (2.0, 0.0)
    silent.settle(0.5)
    second.close()
    assert (await cores.ask()).given == 1.5


async def test_one_that_stops_asking_costs_no_turn() -> None:
    cores = SharedCores(2.0)
    first = await cores.ask()
    gone, third = asyncio.create_task(cores.ask()), asyncio.create_task(cores.ask())
    assert not await soon(gone)
    gone.cancel()
    assert not await soon(third)
    first.settle(0.5)
    assert (await third).given == 1.5
