"""RFC 6544: the WebRTC port over TCP, for those whose network lets no UDP through."""

import asyncio
import os
import select
import time

import pytest

from hotpath.webrtc.mux import Mux, MuxLimits
from tests.support.rtc_client import TcpWire, Wire, connected, running
from tests.support.rtc_packets import RTP, sealed, server_of

pytestmark = pytest.mark.usefixtures("every_wire_is_closed")
S = 1_000_000_000


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
    wire._reader._transport.pause_reading()  # type: ignore[attr-defined]
    sent = refused = 0
    while not refused and sent < 100_000:
        try:
            sent += os.write(recorder.path.fd, bytes(1100)) // 1100
        except BlockingIOError:
            await asyncio.sleep(0.1)  # a pair that is only waiting for the loop is empty by now
            refused = not select.select([], [recorder.path.fd], [], 0)[1]
    assert refused
    client.close()
