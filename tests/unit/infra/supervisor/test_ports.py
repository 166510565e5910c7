import socket

import pytest

from infra.supervisor.errors import StackError
from infra.supervisor.ports import BLOCK, INTERNAL, PortPlan, busy_ports, reserve_block


def test_every_port_has_its_own_number_within_the_block() -> None:
    plan = PortPlan(8080)
    named = [
        *(plan.control, plan.media, plan.srt, plan.uploader, plan.dispatcher),
        *(plan.worker, plan.broker, plan.bus, plan.s3, plan.webrtc),
        plan.transcriber,
    ]
    internal = [plan.internal(index) for index in range(INTERNAL)]
    assert sorted([*named, *internal, plan.reservation]) == list(range(8080, 8080 + BLOCK))


def test_internal_ports_end_with_the_block() -> None:
    with pytest.raises(ValueError, match="outside the block"):
        PortPlan(8080).internal(INTERNAL)


@pytest.mark.parametrize("base", [0, -1, 65_530])
def test_a_base_without_room_is_refused(base: int) -> None:
    with pytest.raises(StackError, match=f"port base {base}"):
        PortPlan(base)


def test_reserved_blocks_never_meet() -> None:
    reserved = [reserve_block("127.0.0.1") for _ in range(4)]
    try:
        assert len({reservation.plan.base // BLOCK for reservation in reserved}) == 4
    finally:
        for reservation in reserved:
            reservation.release()
            reservation.release()


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        (socket.SOCK_STREAM, 1),
        (socket.SOCK_DGRAM, 2),
        (socket.SOCK_STREAM, 9),
        (socket.SOCK_DGRAM, 9),
    ],
    ids=["tcp", "srt-udp", "webrtc-tcp", "webrtc-udp"],
)
def test_busy_ports_are_found(kind: socket.SocketKind, index: int) -> None:
    reservation = reserve_block("127.0.0.1")
    plan = reservation.plan
    try:
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", plan.base + index))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            assert busy_ports("127.0.0.1", plan) == [plan.base + index, plan.reservation]
    finally:
        reservation.release()
