"""The hand-over never blocks, is bounded, and keeps control calls."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from hotpath.ingest.handover import MAX_PENDING_CALLS, Gate, Handover
from hotpath.media.unit import AUDIO, VIDEO, Unit


def video(number: int, *, keyframe: bool = False, size: int = 100) -> Unit:
    return Unit(VIDEO, number, number, keyframe, bytes(size), 0, 0)


def audio(number: int, size: int = 10) -> Unit:
    return Unit(AUDIO, number, number, True, bytes(size), 0, 0)


async def test_calls_arrive_on_the_loop_in_order_with_one_wake_up() -> None:
    handover, seen = Handover(), []
    handover.attach(asyncio.get_running_loop())
    gate = Gate()

    def units(batch: Sequence[Unit]) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.extend(u.pts for u in batch)

    def work() -> None:
        handover.post(lambda: seen.append(-1))
        handover.post_units(gate, [video(1, keyframe=True), audio(2)], units)
        handover.post_units(gate, [video(3)], units)
        handover.post(lambda: seen.append(-2))
        handover.wake()
        handover.wake()

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert seen == [-1, 1, 2, 3, -2]
    assert gate.pending == 0


def test_a_loop_that_is_behind_costs_units_up_to_the_next_keyframe() -> None:
    handover = Handover(limit=250)
    gate = Gate()
    seen: list[int] = []

    def post(*units: Unit) -> None:
        handover.post_units(gate, units, lambda batch: seen.extend(u.pts for u in batch))

    post(video(1, keyframe=True), video(2), video(3), audio(4))
    assert gate.dropped == 2  # the third does not fit; nothing passes until there is room
    post(video(5, keyframe=True))
    handover.deliver()
    post(video(6), audio(7), video(8, keyframe=True), video(9))
    handover.deliver()
    assert seen == [1, 2, 7, 8, 9]
    assert gate.dropped == 4


def test_sound_waits_for_no_keyframe_whichever_track_it_is() -> None:
    gate = Gate(await_keyframe=True)
    further = replace(audio(3), track="audio-2")
    passed = gate.admit([video(1), audio(2), further, video(4, keyframe=True)], 0, 1000)
    assert [unit.pts for unit in passed] == [2, 3, 4]


def test_control_calls_pass_a_full_hand_over() -> None:
    handover, seen = Handover(limit=10), []
    gate = Gate()
    handover.post_units(gate, [video(1, keyframe=True)], lambda batch: seen.append("units"))
    handover.post(lambda: seen.append("disconnected"))
    handover.deliver()
    assert seen == ["disconnected"]


def test_refusals_are_bounded_and_counted() -> None:
    handover = Handover()
    for _ in range(MAX_PENDING_CALLS + 3):
        handover.post_optional(lambda: None)
    assert handover.calls_dropped == 3


async def test_a_call_that_raises_does_not_take_the_next_ones_with_it() -> None:
    handover, seen = Handover(), []
    handover.attach(asyncio.get_running_loop())

    def fail() -> None:
        raise RuntimeError("the sink has a bug")

    handover.post(fail)
    handover.post(lambda: seen.append("next"))
    with pytest.raises(RuntimeError):
        handover.deliver()
    await asyncio.sleep(0)
    assert seen == ["next"]
