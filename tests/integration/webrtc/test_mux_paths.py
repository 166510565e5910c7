"""The addresses of the WebRTC port, and clients whose own address changes."""

import asyncio
import os
import socket

import pytest

from hotpath.webrtc.errors import PortError
from hotpath.webrtc.mux import Mux
from tests.support.rtc_client import TcpWire, Wire, connected, running
from tests.support.rtc_packets import RECEIVER_REPORT, server_of

pytestmark = pytest.mark.usefixtures("every_wire_is_closed")


async def test_a_client_that_changes_its_network_keeps_its_session(mux: Mux) -> None:
    client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    other = await Wire.udp(server_of(mux))
    client.listen(other)
    await client.check(wire=other)
    await recorder.until(lambda r: "moved" in r.calls)
    assert recorder.path is not None
    assert recorder.path.address == other.address
    assert peer.path == recorder.path
    client.wire.close()
    client.wire = other
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 1)
    client.close()


async def test_a_forged_source_address_cannot_point_a_stream_elsewhere(mux: Mux) -> None:
    """The owner of the address does not answer our check, so nothing moves."""
    client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    async with asyncio.timeout(10):
        while peer.round_trip_ns is None:
            await asyncio.sleep(0.01)
    before, answered = peer.path, client.seen["check"]
    victim = await Wire.udp(server_of(mux))
    client.answers = False
    client.listen(victim)
    await client.check(wire=victim)
    # Checks come ever more seldom until they are given up, after six seconds.
    async with asyncio.timeout(30):
        while client.seen["check"] < answered + 5 or peer.busy:
            await asyncio.sleep(0.02)
    assert peer.path == before
    assert "moved" not in recorder.calls
    victim.close()
    client.close()


async def test_rfc8445_9_ice_restart_onto_another_address(mux: Mux) -> None:
    client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    old = client.remote
    client.ufrag, client.pwd = "restarted", "another-password-of-24-chars"
    ufrag, pwd = peer.restart(client.ufrag, client.pwd)
    assert (ufrag, pwd) == (peer.ufrag, peer.pwd) != old
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 1)
    other = await Wire.udp(server_of(mux))
    client.listen(other)
    client.remote = (ufrag, pwd)
    await client.check(wire=other)
    await recorder.until(lambda r: "moved" in r.calls)
    client.remote = old
    before = mux.counters["dropped-stun-unknown-user"]
    client.wire.send(bytes(client.request(nominate=True)))
    async with asyncio.timeout(10):
        while mux.counters["dropped-stun-unknown-user"] == before:
            await asyncio.sleep(0.01)
    other.close()
    client.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_ipv6(transport: str) -> None:
    async with running(Mux(["127.0.0.1", "::1"], 0)) as mux:
        kinds = {(c.protocol, c.address) for c in mux.candidates}
        assert kinds == {(p, a) for p in ("udp", "tcp") for a in ("127.0.0.1", "::1")}
        server = server_of(mux, "::1")
        wire = await (Wire.udp(server) if transport == "udp" else TcpWire.connect(server))
        client, _peer, recorder = await connected(mux, wire)
        response = await client.check()
        assert response.attributes["XOR-MAPPED-ADDRESS"] == wire.address
        client.send_rtcp(RECEIVER_REPORT)
        await recorder.until(lambda r: len(r.rtcp) == 1)
        client.close()


async def test_advertised_addresses_come_first_and_wildcards_are_spelled_out() -> None:
    async with running(Mux(["0.0.0.0", "::"], 0, advertise=["203.0.113.7"])) as mux:
        first = mux.candidates[0]
        assert (first.address, first.port) == ("203.0.113.7", mux.port)
        assert not {"0.0.0.0", "::"} & {c.address for c in mux.candidates}
        client, _, _ = await connected(mux, await Wire.udp(server_of(mux)))
        client.close()


async def test_a_wildcard_answers_from_the_address_that_was_asked() -> None:
    """Every address of every interface has a socket of its own."""
    async with running(Mux(["0.0.0.0"], 0, tcp=False)) as mux:
        for address in {c.address for c in mux.candidates} | {"127.0.0.1"}:
            client, _, recorder = await connected(mux, await Wire.udp((address, mux.port)))
            assert recorder.path is not None
            with socket.socket(fileno=os.dup(recorder.path.fd)) as used:
                assert used.getsockname()[0] == address
            client.close()


async def test_names_are_resolved_and_bad_ones_left_out(caplog: pytest.LogCaptureFixture) -> None:
    names = ["localhost", "203.0.113.7", "no-such-name.invalid"]
    async with running(Mux(["127.0.0.1"], 0, advertise=names)) as mux:
        addresses = [c.address for c in mux.candidates if c.protocol == "udp"]
    assert {"127.0.0.1", "203.0.113.7"} <= set(addresses) <= {"127.0.0.1", "::1", "203.0.113.7"}
    assert "no-such-name.invalid" in caplog.text


async def test_a_taken_port_is_an_error_that_says_the_fix(mux: Mux) -> None:
    with pytest.raises(PortError, match="LIVEPATH_WEBRTC_PORT"):
        Mux(["127.0.0.1"], mux.port)
