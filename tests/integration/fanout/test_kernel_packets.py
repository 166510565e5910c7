"""What the kernel sends: libsrtp accepts it, and it says what was pushed."""

import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from hotpath.fanout.kernel import Frame, Kernel, KernelError
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpProfile
from tests.support.kernel import (
    AUDIO,
    CM,
    GCM,
    VIDEO,
    WALL_NS,
    FarEnd,
    far_end,
    frame,
    narrow_end,
    obeyed,
    place,
    push,
    sound,
    wait_until,
)

Crypto = Literal["auto", "evp"]
CIPHERS = [(GCM, "auto"), (GCM, "evp"), (CM, "auto")]


@pytest.mark.parametrize(("profile", "crypto"), CIPHERS)
def test_packets_decrypt_and_carry_the_frame(profile: SrtpProfile, crypto: Crypto) -> None:
    with Kernel(shards=1, crypto=crypto) as kernel, far_end(profile) as far:
        stream = kernel.stream(90_000, video=True)
        far.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(4):  # 20 packets: sequence numbers wrap within the second frame
            push(stream, frame(number, 5, size=1172, last=7))
        packets = far.take(20)
    assert [place(p) for p in packets] == [(n, i) for n in range(4) for i in range(5)]
    assert [p.sequence for p in packets] == [(65_530 + i) % 65_536 for i in range(20)]
    assert [p.marker for p in packets] == [i % 5 == 4 for i in range(20)]
    assert {p.payload_type for p in packets} == {96}
    assert {p.ssrc for p in packets} == {VIDEO.ssrc}
    assert [p.timestamp for p in packets[::5]] == [
        (VIDEO.timestamp_offset + 3000 * n) % 2**32 for n in range(4)
    ]
    assert [len(p.payload) for p in packets[:5]] == [1172] * 4 + [7]


@pytest.mark.parametrize("profile", [GCM, CM])
def test_the_rollover_counter_goes_on(profile: SrtpProfile) -> None:
    with Kernel(shards=1) as kernel, far_end(profile) as far:
        stream = kernel.stream(90_000, video=True, max_frames=8)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(34):  # 68,000 packets: past the second wrap
            for part in range(20):
                push(stream, frame(20 * number + part, 100, size=8, last=8))
                far.take(100)
        assert viewer.stats().packets == 68_000
    assert far.packets[-1].sequence == (65_530 + 67_999) % 65_536


def test_sizes_that_differ_travel_as_they_are() -> None:
    sizes = [1000, 1000, 400, 999, 1000, 1000, 1, 1172, *[700] * 20, 300, 300]
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        far.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, Frame(0, True, [bytes([i]) * size for i, size in enumerate(sizes)], 0))
        packets = far.take(len(sizes))
    assert [len(p.payload) for p in packets] == sizes
    assert [p.payload[0] for p in packets] == list(range(len(sizes)))


def test_audio_and_video_share_a_path() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        video, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        viewer = far.join(kernel)
        viewer.attach("video", video, start="live")
        viewer.attach("audio", audio)
        obeyed(kernel)
        for number in range(3):
            push(video, frame(number))
            push(audio, sound(number))
            far.take(4)
        packets = far.packets
    sounds = [p for p in packets if p.ssrc == AUDIO.ssrc]
    assert [p.sequence for p in sounds] == [100, 101, 102]
    assert [p.timestamp for p in sounds] == [5000, 5960, 6920]
    assert not any(p.marker for p in sounds)


@pytest.mark.parametrize("mapped", [False, True])
def test_ipv6_and_ipv4_mapped_destinations(mapped: bool) -> None:
    family, host = (socket.AF_INET, "127.0.0.1") if mapped else (socket.AF_INET6, "::1")
    with (
        Kernel(shards=1) as kernel,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours,
        socket.socket(family, socket.SOCK_DGRAM) as theirs,
    ):
        ours.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        ours.bind(("::", 0))
        theirs.bind((host, 0))
        far = FarEnd(ours, theirs, shared=True)
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 12))
        assert [place(p)[1] for p in far.take(12)] == list(range(12))
        assert viewer.stats().gso


def test_a_connected_descriptor_takes_single_datagrams() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 12), deadline_ms=5000)
        assert [place(p)[1] for p in far.take(12)] == list(range(12))
        assert not viewer.stats().gso


def test_a_new_path_takes_over_at_once() -> None:
    with Kernel(shards=1) as kernel, far_end() as far, far_end() as elsewhere:
        elsewhere._session = far._session
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        far.take(3)
        viewer.set_path(elsewhere.path)
        push(stream, frame(1))
        assert [place(p) for p in elsewhere.take(3)] == [(1, 0), (1, 1), (1, 2)]
        assert far.rest() == []


def test_the_descriptor_may_be_closed_after_joining() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        far.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        far.out.close()
        push(stream, frame(0))
        far.take(3)


# -- abs-capture-time -----------------------------------------------------------------------------


def test_capture_time_on_the_first_packet_once_a_second() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        far.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(10):
            push(stream, replace(frame(number, 9), capture_ns=WALL_NS + 500_000_000))
        packets = far.take(90)
    with_extension = [p for p in packets if p.extension]
    assert [place(p) for p in with_extension] == [(0, 0)]
    profile, words, head, seconds, fraction = struct.unpack_from(
        "!HHBII", with_extension[0].extension
    )
    assert (profile, words, head) == (0xBEDE, 3, 3 << 4 | 7)
    assert seconds == WALL_NS // 1_000_000_000 + 2_208_988_800
    assert fraction == 1 << 31
    assert with_extension[0].payload == frame(0, 9).payloads[0]


def test_no_capture_time_where_it_is_unknown_or_not_negotiated() -> None:
    with Kernel(shards=1) as kernel, far_end() as far, far_end() as other:
        stream = kernel.stream(90_000, video=True)
        far.join(kernel, replace(VIDEO, capture_time_id=0)).attach("video", stream, start="live")
        other.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        push(stream, replace(frame(1), capture_ns=WALL_NS))
        assert not any(p.extension for p in far.take(6))
        assert [bool(p.extension) for p in other.take(6)] == [False] * 3 + [True] + [False] * 2


# -- RTCP -----------------------------------------------------------------------------------------


def _is_report(ssrc: int) -> Callable[[bytes], bool]:
    return lambda plain: plain[1] == 200 and plain[4:8] == struct.pack("!I", ssrc)


@pytest.mark.parametrize(("profile", "crypto"), CIPHERS)
def test_sender_reports_tell_the_programme_clock(profile: SrtpProfile, crypto: Crypto) -> None:
    with Kernel(shards=1, crypto=crypto) as kernel, far_end(profile) as far:
        video, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        viewer = far.join(kernel)
        viewer.attach("video", video, start="live")
        viewer.attach("audio", audio)
        obeyed(kernel)
        push(video, frame(30, key=True))
        push(audio, sound(50))
        report = far.take_rtcp(_is_report(VIDEO.ssrc))
        heard = far.take_rtcp(_is_report(AUDIO.ssrc))
        far.rtcp.clear()
        again = far.take_rtcp(_is_report(VIDEO.ssrc))
        trip = viewer.round_trip_ns(
            VIDEO.ssrc, struct.unpack_from("!Q", again, 8)[0] >> 16 & 0xFFFFFFFF, 0
        )
        assert viewer.round_trip_ns(VIDEO.ssrc, 12345, 0) is None
        assert viewer.stats().sender_reports >= 3
    assert trip is not None
    assert 0 <= trip < 5_000_000_000
    for plain, clock_hz, offset, timestamp, count, octets in (
        (report, 90_000, VIDEO.timestamp_offset, 3000 * 30, 3, 2400),
        (heard, 48_000, AUDIO.timestamp_offset, 960 * 50, 1, 4),
    ):
        _, _, length, _, ntp, rtp, packets, size = struct.unpack_from("!BBHIQIII", plain)
        # Both clocks were at one second of the programme and have gone on together since.
        unix_ns = (ntp - (2_208_988_800 << 32)) * 1_000_000_000 >> 32
        later_ns = unix_ns - WALL_NS - 1_000_000_000
        assert 0 <= later_ns < 1_000_000_001
        ticks = (rtp - offset - timestamp) % 2**32
        assert abs(ticks - later_ns * clock_hz // 1_000_000_000) <= clock_hz // 1000
        assert (length, packets, size) == (6, count, octets)
        assert plain[28:30] == b"\x81\xca"
        assert b"\x01\x08livepath\x00" in plain[28:]
        assert len(plain) % 4 == 0


def test_rtcp_from_python_is_protected_and_sent() -> None:
    plain = struct.pack("!BBHIII", 0x81, 206, 3, VIDEO.ssrc, 1, 0) + b"\0\0\0\0"
    with Kernel(shards=1) as kernel, far_end() as far:
        viewer = far.join(kernel)
        for _ in range(3):
            viewer.send_rtcp(plain[:16])
        far.take_rtcp(lambda got: got == plain[:16])
        wait_until(lambda: far.receive(0.01) is None)
        assert far.rtcp.count(plain[:16]) == 3


def test_closing_says_bye_once_and_nothing_after() -> None:
    with Kernel(shards=1) as kernel, far_end() as far, far_end() as silent:
        stream = kernel.stream(90_000, video=True)
        viewer, other = far.join(kernel), silent.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        far.take(3)
        viewer.close()
        viewer.close()
        other.close(bye=False)
        bye = far.take_rtcp(lambda plain: plain[1] == 201)
        push(stream, frame(1))
        assert far.rest() == []
        assert sum(plain[1] == 201 for plain in far.rtcp) == 1
        assert silent.rest() == []
        assert silent.rtcp == []
        wait_until(lambda: kernel.totals().viewers == 0)
    at = bye.index(b"\x83\xcb")
    ssrcs = struct.unpack_from("!3I", bye, at + 4)
    assert set(ssrcs) == {VIDEO.ssrc, VIDEO.rtx_ssrc, AUDIO.ssrc}


def test_the_kernel_says_bye_when_it_closes() -> None:
    with far_end() as far:
        with Kernel(shards=1) as kernel:
            far.join(kernel)
        far.take_rtcp(lambda plain: plain[1] == 201)


def test_delay_and_totals_are_counted() -> None:
    with Kernel(shards=2) as kernel, far_end() as far, far_end() as other:
        stream = kernel.stream(90_000, video=True)
        for one in (far, other):
            one.join(kernel).attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        far.take(3), other.take(3)
        wait_until(lambda: stream.delay.count == 2)
        delay, totals = stream.delay, kernel.totals()
    assert 0 < delay.max_ns <= delay.sum_ns
    assert sum(delay.buckets) <= 2
    assert totals.packets >= 6
    assert totals.frames == 2
    assert len(totals.cpu_ns) == 2
    assert all(totals.cpu_ns)
    assert totals.errors == {}


def test_a_path_that_is_no_datagram_socket_is_refused() -> None:
    with Kernel(shards=1) as kernel, far_end() as far, open("/dev/null", "rb") as nothing:
        path = Path(nothing.fileno(), ("127.0.0.1", 9))
        with pytest.raises(KernelError, match="ENOTSOCK"):
            kernel.add_viewer(far.keys, path, [VIDEO], cname="livepath")
