"""RFC 6544: the WebRTC port over TCP, for those whose network lets no UDP through."""

import asyncio
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hotpath.webrtc.ice import MAX_SOURCES
from hotpath.webrtc.mux import Mux, MuxLimits
from hotpath.webrtc.tcp_links import MOST_OF_A_PEER
from tests.support.rtc_client import TcpWire, Wire, connected, running
from tests.support.rtc_packets import RECEIVER_REPORT, RTP, sealed, server_of

pytestmark = pytest.mark.usefixtures("every_wire_is_closed")
S = 1_000_000_000


def sockets() -> int:
    """Open ones of this process: the port's and the clients'."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder's own
            found += entry.readlink().name.startswith("socket:")
    return found


async def fill(fd: int) -> bool:
    """Write to a pair until it stays full, because its peer does not read."""
    for _ in range(100_000):
        try:
            os.write(fd, bytes(1100))
        except BlockingIOError:
            await asyncio.sleep(0.1)  # a pair that is only waiting for the loop is empty by now
            if not select.select([], [fd], [], 0)[1]:
                return True
    return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_rfc6544_ice_tcp_carries_everything(mux: Mux) -> None:
    wire = await TcpWire.connect(server_of(mux))
    client, _peer, recorder = await connected(mux, wire, hint="publisher")
    assert recorder.path is not None
    assert recorder.keys is not None
    assert (recorder.path.address, recorder.path.protocol) == (None, "tcp")
    os.write(recorder.path.fd, sealed(recorder.keys, RTP))  # as the fan-out kernel sends
    assert client.inbound.unprotect(await client.media.get()) == RTP
    client.send_rtp(RTP)
    await recorder.until(lambda r: r.rtp == [RTP])
    client.shutdown()
    await recorder.until(lambda r: r.reason == "dtls-closed")
    await wire.closed_by_server()
    client.close()


async def test_rfc6544_from_tcp_to_udp(mux: Mux) -> None:
    client, _, recorder = await connected(mux, await TcpWire.connect(server_of(mux)))
    other = await Wire.udp(server_of(mux))
    client.listen(other)
    await client.check(wire=other)
    await recorder.until(lambda r: "moved" in r.calls)
    assert recorder.path is not None
    assert recorder.path.protocol == "udp"
    other.close()
    client.close()


@pytest.mark.parametrize(
    "data",
    [b"\0\5hello", b"\xff\xff", b"\0\x14\0\1\0\0\x21\x12\xa4\x42" + bytes(12), b"GET / HTTP"],
)
async def test_a_tcp_stranger_that_speaks_something_else_is_closed(mux: Mux, data: bytes) -> None:
    wire = await TcpWire.connect(server_of(mux))
    wire.send_raw(data)
    await wire.closed_by_server()
    assert wire.received.empty()
    wire.close()


async def test_silent_tcp_strangers_are_bounded_and_timed_out() -> None:
    offset = 0

    def now() -> int:
        return time.monotonic_ns() + offset

    limits = MuxLimits(tcp_strangers=2)
    async with running(Mux(["127.0.0.1"], 0, limits=limits, now=now)) as mux:
        wires = [await TcpWire.connect(server_of(mux)) for _ in range(3)]
        await asyncio.wait([wire._pump for wire in wires], return_when="FIRST_COMPLETED")
        assert mux.counters["tcp-refused"] == 1
        offset = 11 * S
        for wire in wires:
            await wire.closed_by_server()
            wire.close()


async def test_a_tcp_connection_that_its_peer_does_not_use_is_closed() -> None:
    offset = 0

    def now() -> int:
        return time.monotonic_ns() + offset

    limits = MuxLimits(consent_ns=3600 * S)
    async with running(Mux(["127.0.0.1"], 0, limits=limits, now=now)) as mux:
        client, peer, _ = await connected(mux, await Wire.udp(server_of(mux)))
        spare = await TcpWire.connect(server_of(mux))
        client.listen(spare)
        await client.check(nominate=False, wire=spare)
        offset = 11 * S
        await spare.closed_by_server()
        assert mux.counters["tcp-unused"] == 1
        assert peer.routes == {peer.path}
        assert not peer.closed
        spare.close()
        client.close()


async def test_a_tcp_client_that_does_not_read_blocks_only_its_own_pair(mux: Mux) -> None:
    wire = await TcpWire.connect(server_of(mux))
    client, _, recorder = await connected(mux, wire)
    assert recorder.path is not None
    wire.hold()
    assert await fill(recorder.path.fd)
    client.close()


async def test_a_peer_holds_a_handful_of_connections(mux: Mux) -> None:
    """The one in use stays; of the others the longest unheard gives way."""
    client, peer, recorder = await connected(mux, await TcpWire.connect(server_of(mux)))
    spare = [await TcpWire.connect(server_of(mux)) for _ in range(MOST_OF_A_PEER - 1)]
    for wire in (*spare, spare[0]):
        client.listen(wire)
        await client.check(nominate=False, wire=wire)
    assert len(peer.routes) == MOST_OF_A_PEER
    before = sockets()
    others = [await TcpWire.connect(server_of(mux)) for _ in range(30)]
    for wire in others:
        client.listen(wire)
        await client.check(nominate=False, wire=wire)
    for wire in (*spare[1:], spare[0], *others[:-3]):
        await wire.closed_by_server()
        wire.close()
    await until(lambda: sockets() <= before)
    assert len(peer.routes) == MOST_OF_A_PEER
    assert peer.path in peer.routes
    assert mux.counters["tcp-dropped"] == 30
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 1)
    client.close()
    for wire in others:
        wire.close()


async def test_connections_that_come_and_go_leave_no_descriptor(mux: Mux) -> None:
    """Also such as were the path for a moment."""
    client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    before = sockets()
    for number in range(20):
        wire = await TcpWire.connect(server_of(mux))
        client.listen(wire)
        await client.check(wire=wire)
        await recorder.until(lambda r: r.calls.count("moved") > number)  # noqa: B023
        wire.close()
    assert sockets() <= before + 3 * MOST_OF_A_PEER + 3
    await client.check()
    await recorder.until(lambda r: r.calls.count("moved") > 20)
    await until(lambda: peer.routes == {peer.path})
    await until(lambda: sockets() <= before)
    client.close()


async def test_a_connection_that_the_agent_has_forgotten_is_closed(mux: Mux) -> None:
    client, peer, _ = await connected(mux, await Wire.udp(server_of(mux)))
    old = await TcpWire.connect(server_of(mux))
    client.listen(old)
    await client.check(nominate=False, wire=old)
    assert len(peer.routes) == 2
    others = [await Wire.udp(server_of(mux)) for _ in range(MAX_SOURCES - 1)]
    for wire in others:
        wire.send(bytes(client.request(nominate=False)))
    await old.closed_by_server()
    assert {path.protocol for path in peer.routes} == {"udp"}
    for wire in (old, *others):
        wire.close()
    client.close()


async def test_a_closed_peer_that_does_not_read_keeps_nothing() -> None:
    offset = 0

    def now() -> int:
        return time.monotonic_ns() + offset

    limits = MuxLimits(consent_ns=3600 * S)
    async with running(Mux(["127.0.0.1"], 0, limits=limits, now=now)) as mux:
        before = sockets()
        wire = await TcpWire.connect(server_of(mux))
        client, peer, recorder = await connected(mux, wire)
        wire.hold()
        assert recorder.path is not None
        fd = os.dup(recorder.path.fd)
        filled = await fill(fd)
        os.close(fd)
        assert filled
        peer.close()
        assert sockets() > before + 1
        offset = 12 * S
        await until(lambda: sockets() <= before + 1)  # the client's own
        assert mux.counters["tcp-unread"] == 1
        client.close()
