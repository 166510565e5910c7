"""Sockets that are full: frames wait until their deadline, then the viewer skips to a keyframe."""

from itertools import pairwise

from hotpath.fanout.kernel import Kernel
from tests.support.kernel import (
    VIDEO,
    FarEnd,
    Packet,
    far_end,
    frame,
    narrow_end,
    obeyed,
    place,
    push,
    wait_until,
)


def _drain(far: FarEnd) -> list[Packet]:
    return far.rest(0.3)


def test_a_frame_that_does_not_fit_goes_on_when_there_is_room() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(3):
            push(stream, frame(number, 40), deadline_ms=60_000)
        wait_until(lambda: viewer.stats().waiting)
        waiting = viewer.stats()
        assert waiting.frames == 0
        packets = far.take(120)
        assert [place(p) for p in packets] == [(n, i) for n in range(3) for i in range(40)]
        assert [p.sequence for p in packets] == [(65_530 + i) % 65_536 for i in range(120)]
        wait_until(lambda: viewer.stats().frames == 3)
        assert not viewer.stats().waiting
        assert viewer.stats().frames_dropped == 0
        assert kernel.totals().blocked > 0


def test_the_rest_of_a_late_frame_is_skipped_up_to_a_keyframe() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 40), deadline_ms=30)
        wait_until(lambda: viewer.stats().frames_dropped == 1)
        for number in range(1, 6):
            push(stream, frame(number, 4), deadline_ms=60_000)
        before = _drain(far)
        assert {place(p)[0] for p in before} == {0}  # the others cannot be decoded: not sent
        push(stream, frame(6, 4, key=True), deadline_ms=60_000)
        after = far.take(4)
        assert [place(p) for p in after] == [(6, i) for i in range(4)]
        # The receiver sees that frame 0 was cut: its sequence numbers stay skipped. The frames
        # that were never begun leave no gap.
        assert after[0].sequence == (65_530 + 40) % 65_536
        assert viewer.stats().frames_dropped == 6
        assert kernel.totals().frames_dropped == 6
        # What was skipped was never sent, so it is not sent again.
        viewer.nack(VIDEO.ssrc, [(65_530 + i) % 65_536 for i in range(len(before), 40)])
        viewer.nack(VIDEO.ssrc, [after[0].sequence])
        (again,) = far.take(1)
        assert again.payload[2:] == after[0].payload


def test_a_viewer_whose_frame_was_evicted_goes_on_at_a_keyframe() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True, max_frames=4)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 40), deadline_ms=60_000)
        wait_until(lambda: viewer.stats().waiting)
        for number in range(1, 10):
            push(stream, frame(number, 4, key=number == 8), deadline_ms=60_000)
        packets = far.take(40 + 8)
        assert [place(p)[0] for p in packets] == [0] * 40 + [8] * 4 + [9] * 4
        assert [b.sequence - a.sequence for a, b in pairwise(packets)].count(1) >= 46
        assert viewer.stats().frames_dropped == 7


def test_a_full_socket_is_nobody_elses_problem() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as stuck, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        blocked, viewer = stuck.join(kernel), far.join(kernel)
        for one in (blocked, viewer):
            one.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(50):
            push(stream, frame(number, 10, key=number % 10 == 0), deadline_ms=500)
            assert [place(p) for p in far.take(10)] == [(number, i) for i in range(10)]
        assert viewer.stats().frames_dropped == 0
        wait_until(lambda: blocked.stats().frames_dropped > 0)
        blocked.close()
        wait_until(lambda: kernel.totals().viewers == 1)
        push(stream, frame(50))
        far.take(3)


def test_bytes_repeated_after_a_full_socket_are_the_same_bytes() -> None:
    """libsrtp refuses a second packet under an index, and a wrong tag; so every index that arrives
    came once, whatever was protected twice on the way."""
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        sent: list[Packet] = []
        for number in range(30):
            dropped = viewer.stats().frames_dropped
            push(stream, frame(number, 15 + number, key=True), deadline_ms=10 + number % 7)
            if number % 3:  # read slowly: it fills, empties a little, and fills again
                sent += far.take(4)
                wait_until(lambda before=dropped: viewer.stats().frames_dropped > before)
            else:
                sent += far.rest(0.05)
        sent += far.rest(0.3)
        assert kernel.totals().blocked > 20
    assert len({p.sequence for p in sent}) == len(sent)
    for packet in sent:
        number, index = place(packet)
        assert packet.payload == frame(number, 15 + number).payloads[index]
    order = [place(p) for p in sent]
    assert order == sorted(order)
