"""RTX: what was lost comes again from the ring, within bounds (RFC 4588)."""

from dataclasses import replace

from hotpath.fanout.kernel import Kernel, ViewerLimits
from tests.support.kernel import (
    AUDIO,
    CM,
    VIDEO,
    far_end,
    frame,
    narrow_end,
    obeyed,
    push,
    sound,
    wait_until,
    without_rtx,
)


def test_rtx_repeats_the_payload_behind_its_sequence_number() -> None:
    with Kernel(shards=1) as kernel, far_end(CM) as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(5):
            push(stream, frame(number, 4))
        sent = far.take(20)
        viewer.nack(VIDEO.ssrc, [p.sequence for p in sent])
        again = far.take(20)
        assert viewer.stats().rtx == 20
        assert kernel.totals().rtx == 20
    assert [p.ssrc for p in again] == [VIDEO.rtx_ssrc] * 20
    assert [p.payload_type for p in again] == [97] * 20
    assert [p.sequence for p in again] == [(65_535 + i) % 65_536 for i in range(20)]
    for packet, original in zip(again, sent, strict=True):
        assert packet.payload == original.sequence.to_bytes(2, "big") + original.payload
        assert (packet.timestamp, packet.marker) == (original.timestamp, original.marker)


def test_the_same_packet_asked_for_twice_at_once_comes_once() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        (first, *_) = far.take(3)
        viewer.nack(VIDEO.ssrc, [first.sequence] * 5)
        assert len(far.rest()) == 1
        viewer.nack(VIDEO.ssrc, [first.sequence])  # later, it may have been lost again
        assert len(far.rest()) == 1
        assert viewer.stats().rtx_refused == 0


def test_what_was_never_sent_is_refused() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        video, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        viewer = far.join(kernel)
        viewer.nack(VIDEO.ssrc, [1, 2])
        viewer.attach("video", video, start="live")
        viewer.attach("audio", audio)
        obeyed(kernel)
        push(video, frame(0))
        push(audio, sound(0))
        sent = far.take(4)
        last = max(p.sequence for p in sent if p.ssrc == VIDEO.ssrc)
        viewer.nack(VIDEO.ssrc, [65_529, last + 1])
        viewer.nack(AUDIO.ssrc, [100])  # no RTX was negotiated for it
        viewer.nack(12345, [last])
        obeyed(kernel)
        assert far.rest() == []
        assert viewer.stats().rtx_refused == 6
        assert viewer.stats().rtx == 0


def test_more_sequence_numbers_than_a_command_holds_are_refused() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        viewer = far.join(kernel)
        viewer.nack(VIDEO.ssrc, range(600))
        wait_until(lambda: viewer.stats().rtx_refused == 600)


def test_a_track_without_rtx_is_not_answered() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel, without_rtx(VIDEO))
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        viewer.nack(VIDEO.ssrc, [p.sequence for p in far.take(3)])
        assert far.rest() == []


def test_the_bucket_bounds_what_a_viewer_can_ask_for() -> None:
    limits = ViewerLimits(rtx_burst_bytes=10_000, rtx_bytes_per_second=1000)
    with Kernel(shards=1) as kernel, far_end() as far, far_end() as other:
        stream = kernel.stream(90_000, video=True)
        viewer, second = far.join(kernel, limits=limits), other.join(kernel)
        for one in (viewer, second):
            one.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(10):
            push(stream, frame(number, 4, size=1000, last=1000))
        lost = [p.sequence for p in far.take(40)]
        viewer.nack(VIDEO.ssrc, lost)
        other.take(40)
        second.nack(VIDEO.ssrc, lost)
        assert len(other.take(40)) == 40  # another viewer's bucket is its own
        assert len(far.rest()) in {9, 10}  # 10,000 bytes of 1,030 each, and a second's trickle
        stats = viewer.stats()
        assert stats.rtx_bytes <= 12_000
        assert stats.rtx + stats.rtx_refused == 40


def test_what_the_ring_has_dropped_is_refused() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True, max_frames=5)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        sent = []
        for number in range(20):
            push(stream, frame(number))
            sent += far.take(3)
        viewer.nack(VIDEO.ssrc, [p.sequence for p in sent])
        again = far.rest()
        assert [p.payload[2:] for p in again] == [p.payload for p in sent[-15:]]
        assert viewer.stats().rtx_refused == 45


def test_rtx_reaches_back_through_switches_and_repeats() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        streams = [kernel.stream(90_000, video=True) for _ in range(3)]
        viewer = far.join(kernel, replace(VIDEO, first_sequence=0))
        sent = []
        for number in range(12):
            stream = streams[number % 3]
            viewer.attach("video", stream, start="live")
            obeyed(kernel)
            push(stream, frame(number, 2, key=True))
            sent += far.take(2)
        streams[0].close()
        viewer.nack(VIDEO.ssrc, [p.sequence for p in sent])
        again = far.rest()
    assert [p.payload[2:] for p in again] == [
        p.payload for i, p in enumerate(sent) if i // 2 % 3 != 0
    ]


def test_rtx_does_not_wait_for_a_full_socket() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 1, last=50), deadline_ms=60_000)
        (first,) = far.take(1)
        push(stream, frame(1, 50), deadline_ms=60_000)
        wait_until(lambda: viewer.stats().waiting)
        viewer.nack(VIDEO.ssrc, [first.sequence])
        wait_until(lambda: viewer.stats().rtx_refused == 1)
