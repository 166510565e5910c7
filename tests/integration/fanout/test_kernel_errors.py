"""Errors of the socket: they cost the message they concern, and are counted where they belong."""

import errno
import socket
from collections.abc import Iterator

import pytest

from hotpath.fanout.kernel import Kernel
from hotpath.fanout.kernel_border import KernelError
from hotpath.webrtc.path import Path
from tests.support.kernel import (
    VIDEO,
    FarEnd,
    far_end,
    frame,
    narrow_end,
    obeyed,
    place,
    push,
    wait_until,
)
from tests.support.netns import Link, link

SO_NO_CHECK = 11
IP_RECVERR = 11


@pytest.fixture
def narrow_link() -> Iterator[Link]:
    with link(mtu=1000) as made:
        yield made


def test_gso_is_turned_off_where_the_socket_refuses_it() -> None:
    """Linux refuses UDP_SEGMENT with EINVAL on a socket that sends no checksums."""
    with Kernel(shards=1) as kernel, far_end() as far, far_end() as other:
        far.out.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        stream = kernel.stream(90_000, video=True)
        viewer, second = far.join(kernel), other.join(kernel)
        for one in (viewer, second):
            one.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(3):
            push(stream, frame(number, 20))
        assert [place(p) for p in far.take(60)] == [(n, i) for n in range(3) for i in range(20)]
        assert len(other.take(60)) == 60
        assert not viewer.stats().gso
        assert viewer.stats().errors == 0
        assert viewer.stats().packets == 60
        assert second.stats().gso
        assert kernel.totals().gso_off == 1
        viewer.set_path(far.path)  # a new path is tried anew
        wait_until(lambda: viewer.stats().gso)


def test_gso_is_turned_off_beyond_the_path_mtu(narrow_link: Link) -> None:
    with (
        Kernel(shards=1) as kernel,
        narrow_link.sender() as ours,
        narrow_link.receiver() as theirs,
        narrow_link.receiver() as small,
    ):
        far, other = FarEnd(ours, theirs, shared=True), FarEnd(ours, small, shared=True)
        big, little = kernel.stream(90_000, video=True), kernel.stream(90_000, video=True)
        viewer, second = far.join(kernel, VIDEO), other.join(kernel, VIDEO)
        viewer.attach("video", big, start="live")
        second.attach("video", little, start="live")
        obeyed(kernel)
        push(big, frame(0, 10, size=1172))
        push(little, frame(0, 10, size=700))
        assert len(far.take(10)) == 10  # in fragments
        assert len(other.take(10)) == 10
        assert not viewer.stats().gso
        assert second.stats().gso


def test_a_viewer_that_refuses_costs_the_others_nothing() -> None:
    with (
        Kernel(shards=1) as kernel,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        far_end(out=ours) as far,
        far_end(out=ours) as gone,
        far_end(out=ours) as last,
    ):
        # With IP_RECVERR a shared socket hears of every refusal, at the next send to anyone.
        ours.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        stream = kernel.stream(90_000, video=True)
        viewers = [one.join(kernel, VIDEO) for one in (far, gone, last)]
        gone.socket.close()
        for viewer in viewers:
            viewer.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(20):
            push(stream, frame(number, 9))
            for one in (far, last):
                assert [place(p) for p in one.take(9)] == [(number, i) for i in range(9)]
        assert viewers[0].stats().errors == viewers[2].stats().errors == 0
        assert viewers[0].stats().frames_dropped == viewers[2].stats().frames_dropped == 0
        assert kernel.totals().errors["ECONNREFUSED"] > 0


def test_a_refusal_on_a_connected_socket_is_the_viewers() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        far.out.connect(far.socket.getsockname())
        far.socket.close()
        stream = kernel.stream(90_000, video=True)
        path = Path(far.out.fileno(), None)
        viewer = kernel.add_viewer(far.keys, path, [VIDEO], cname="livepath")
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        push(stream, frame(1))
        wait_until(lambda: viewer.stats().errors > 0)
        assert viewer.stats().last_errno == errno.ECONNREFUSED


def test_a_pair_whose_other_end_is_gone_costs_the_others_nothing() -> None:
    with Kernel(shards=1) as kernel, narrow_end() as gone, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        viewers = [one.join(kernel, VIDEO) for one in (gone, far)]
        for viewer in viewers:
            viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        wait_until(lambda: viewers[0].stats().frames == 1)
        gone.socket.close()  # with packets that nobody read: ECONNRESET once, then EPIPE
        for number in range(1, 20):
            push(stream, frame(number, 9))
        assert len(far.take(3 + 19 * 9)) == 174
        wait_until(lambda: viewers[0].stats().frames == 20)  # skipped, not stuck
        stats, totals = viewers[0].stats(), kernel.totals()
        assert (stats.packets, stats.last_errno) == (3, errno.EPIPE)
        assert not stats.waiting
        assert totals.errors.keys() == {"ECONNRESET", "EPIPE"}
        assert viewers[1].stats().errors == 0


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_a_path_is_a_socket_that_keeps_packets_apart(kind: socket.SocketKind) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with Kernel(shards=1) as kernel, ours, theirs, far_end() as far:
        viewer, path = far.join(kernel), Path(ours.fileno(), None, "tcp")
        if kind is socket.SOCK_STREAM:
            with pytest.raises(KernelError, match="EPROTOTYPE"):
                viewer.set_path(path)
        else:
            viewer.set_path(path)
            obeyed(kernel)
            assert not viewer.stats().gso


def test_a_destination_without_a_route_is_counted(narrow_link: Link) -> None:
    with (
        Kernel(shards=1) as kernel,
        narrow_link.sender() as ours,
        narrow_link.receiver() as theirs,
    ):
        far = FarEnd(ours, theirs, shared=True)
        stream = kernel.stream(90_000, video=True)
        nowhere = Path(ours.fileno(), ("203.0.113.9", 9))
        lost = kernel.add_viewer(far.keys, nowhere, [VIDEO], cname="livepath")
        viewer = far.join(kernel, VIDEO)
        for one in (lost, viewer):
            one.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0, 20, size=600))
        assert len(far.take(20)) == 20
        wait_until(lambda: lost.stats().frames == 1)  # skipped, not stuck
        assert lost.stats().last_errno == errno.ENETUNREACH
        assert lost.stats().packets == 0
        assert viewer.stats().errors == 0
