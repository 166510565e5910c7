"""Joining, PLI and switching: from the ring, paced, under timestamps that fit the arrival."""

from itertools import pairwise

import pytest

from hotpath.fanout.kernel import Kernel, KernelError, Stream
from tests.support.kernel import (
    AUDIO,
    VIDEO,
    Packet,
    far_end,
    frame,
    obeyed,
    place,
    push,
    sound,
    wait_until,
)


def _push(stream: Stream, first: int, last: int, *, keys: tuple[int, ...] = (0,)) -> None:
    for number in range(first, last):
        push(stream, frame(number, 3, key=number in keys))


def _numbers(packets: list[Packet]) -> list[int]:
    return [place(p)[0] for p in packets[::3]]


def _ticks(packets: list[Packet]) -> list[int]:
    """Timestamps on the programme's line, one for each frame."""
    return [(p.timestamp - VIDEO.timestamp_offset) % 2**32 for p in packets[::3]]


def test_a_joiner_gets_the_gop_from_the_ring_paced_and_squeezed() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        _push(stream, 0, 60)
        far.join(kernel).attach("video", stream)
        packets = far.take(180)
    assert [place(p) for p in packets] == [(n, i) for n in range(60) for i in range(3)]
    assert [p.sequence for p in packets] == [(65_530 + i) % 65_536 for i in range(180)]
    ticks = _ticks(packets)
    steps = [b - a for a, b in pairwise(ticks)]
    # Eight times as fast as they play, and no frame before its squeezed time.
    assert min(steps) >= 3000 // 9
    assert max(steps) <= 3000 // 6
    for packet, tick in zip(packets[::3], ticks, strict=True):
        due_ns = (tick - ticks[0]) * 1_000_000_000 // 90_000
        assert packet.at_ns - packets[0].at_ns >= due_ns - 5_000_000


@pytest.mark.parametrize("frames", [1, 2, 60, 1500])
def test_a_gop_of_any_length_ends_at_the_live_edge_within_800_ms(frames: int) -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        for number in range(frames):
            push(stream, frame(number, 1))
        far.join(kernel).attach("video", stream)
        ticks = [(p.timestamp - VIDEO.timestamp_offset) % 2**32 for p in far.take(frames)]
        live = frames + 60  # by now far beyond what is squeezed
        push(stream, frame(live, 1))
        after = far.take(1)[0]
    assert ticks == sorted(set(ticks))
    assert ticks[-1] - ticks[0] <= 72_000
    # The keyframe stands at the live edge of the moment of joining.
    assert 3000 * (frames - 1) <= ticks[0] <= 3000 * (frames - 1) + 90_000 * 5
    assert (after.timestamp - VIDEO.timestamp_offset) % 2**32 == 3000 * live


def test_what_is_sent_again_has_the_squeezed_timestamp_too() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        _push(stream, 0, 30)
        viewer = far.join(kernel)
        viewer.attach("video", stream)
        sent = {p.sequence: p for p in far.take(90)}
        wanted = sorted(sent)[::9]
        viewer.nack(VIDEO.ssrc, wanted)
        again = far.take(len(wanted))
    for packet in again:
        original = sent[int.from_bytes(packet.payload[:2], "big")]
        assert packet.timestamp == original.timestamp
        assert packet.payload[2:] == original.payload
        assert packet.marker == original.marker


def test_joining_live_waits_for_the_next_keyframe() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        _push(stream, 0, 5)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        _push(stream, 5, 12, keys=(10,))
        packets = far.take(6)
        assert viewer.stats().frames_dropped == 0
    assert _numbers(packets) == [10, 11]
    assert _ticks(packets) == [30_000, 33_000]


def test_without_a_keyframe_in_the_ring_joiners_wait() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True, max_frames=4)
        assert not stream.has_keyframe
        _push(stream, 0, 10)  # the GOP is longer than the ring
        assert not stream.has_keyframe
        assert stream.frames == 4
        far.join(kernel).attach("video", stream)
        obeyed(kernel)
        _push(stream, 10, 13, keys=(12,))
        assert _numbers(far.take(3)) == [12]
        assert stream.has_keyframe
        assert stream.newest_timestamp == 36_000


def test_the_ring_is_bounded_by_bytes() -> None:
    with Kernel(shards=1) as kernel:
        stream = kernel.stream(90_000, video=True, max_bytes=10_000)
        _push(stream, 0, 50)
        assert 0 < stream.bytes <= 10_000
        big = frame(50, 40, key=True)
        push(stream, big)  # larger than the ring: it alone
        assert stream.frames == 1
        assert stream.has_keyframe


def test_a_picture_on_request_follows_what_was_sent() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        assert not viewer.resend_keyframe()
        viewer.attach("video", stream, start="live")
        assert not viewer.resend_keyframe()
        obeyed(kernel)
        _push(stream, 0, 10)
        first = far.take(30)
        assert viewer.resend_keyframe()
        again = far.take(30)
        push(stream, frame(100))
        after = far.take(3)
    assert _numbers(again) == list(range(10))
    packets = first + again + after
    assert [p.sequence for p in packets] == [(65_530 + i) % 65_536 for i in range(63)]
    ticks = _ticks(packets)
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == 300_000


def test_a_switch_takes_place_at_the_next_keyframe() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        high, low = kernel.stream(90_000, video=True), kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        _push(low, 0, 1)
        viewer.attach("video", high, start="live")
        obeyed(kernel)
        _push(high, 0, 3)
        far.take(9)
        assert viewer.stats().stream == high.id
        viewer.switch(low)
        obeyed(kernel)
        for number in range(1, 5):  # the keyframe that was there does not count
            push(low, frame(number, 2, key=False))
        push(high, frame(3))
        assert [place(p) for p in far.take(3)] == [(3, 0), (3, 1), (3, 2)]
        push(low, frame(4, 2, key=True))
        packets = far.take(2)
        push(high, frame(4))
        push(low, frame(5, 2))
        packets += far.take(2)
        assert viewer.stats().stream == low.id
        assert far.rest() == []
    assert [place(p) for p in packets] == [(4, 0), (4, 1), (5, 0), (5, 1)]
    assert [p.timestamp for p in packets[::2]] == [
        (VIDEO.timestamp_offset + 3000 * n) % 2**32 for n in (4, 5)
    ]


def test_a_switch_to_a_stream_that_is_behind_keeps_timestamps_rising() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        high, low = kernel.stream(90_000, video=True), kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", high, start="live")
        obeyed(kernel)
        _push(high, 0, 10)
        packets = far.take(30)
        viewer.switch(low)
        obeyed(kernel)
        _push(low, 8, 40, keys=(8,))  # two frames behind
        packets += far.take(96)
    ticks = _ticks(packets)
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == 3000 * 39


def test_detached_video_leaves_audio() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        video, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        viewer = far.join(kernel)
        viewer.attach("video", video, start="live")
        viewer.attach("audio", audio)
        obeyed(kernel)
        _push(video, 0, 1)
        far.take(3)
        viewer.detach("video")
        obeyed(kernel)
        _push(video, 1, 3)
        push(audio, sound(0))
        assert [p.ssrc for p in far.rest()] == [AUDIO.ssrc]
        assert viewer.stats().stream is None
        viewer.switch(video)  # from nothing: joins
        assert _numbers(far.take(9)) == [0, 1, 2]


def test_a_closed_stream_lets_its_viewers_go() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream, other = kernel.stream(90_000, video=True), kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        _push(stream, 0, 1)
        far.take(3)
        stream.close()
        stream.close()
        with pytest.raises(KernelError, match="closed"):
            push(stream, frame(1))
        assert stream.bytes == 0
        wait_until(lambda: viewer.stats().stream is None)
        assert not viewer.resend_keyframe()
        _push(other, 1, 2, keys=(1,))
        viewer.attach("video", other)
        assert _numbers(far.take(3)) == [1]


def test_streams_and_tracks_must_fit() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        viewer = far.join(kernel, VIDEO)
        with pytest.raises(KernelError, match="no audio track"):
            viewer.attach("audio", kernel.stream(48_000, video=False))
        with pytest.raises(KernelError, match="does not fit"):
            viewer.attach("video", kernel.stream(90_000, video=False))
        with pytest.raises(KernelError, match="does not fit"):
            viewer.switch(kernel.stream(48_000, video=True))
        with Kernel(shards=1) as other, pytest.raises(KernelError, match="another kernel's"):
            viewer.attach("video", other.stream(90_000, video=True))
