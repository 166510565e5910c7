"""The WebRTC port over real sockets, against a client made of other people's code."""

import asyncio
import os
import select
import socket
import struct
import time
from collections.abc import AsyncIterator

import pytest
from pylibsrtp import Policy, Session

from hotpath.webrtc.errors import DtlsError, Overloaded, PortError
from hotpath.webrtc.mux import Mux, MuxLimits
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile
from tests.support.flood import flooding
from tests.support.rtc_client import Client, Recorder, TcpWire, Wire, connected, running

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 1234)
RTP = struct.pack("!BBHII", 0x80, 96, 7, 1000, 77) + b"payload"
S = 1_000_000_000


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with running(Mux(["127.0.0.1"], 0)) as made:
        yield made


@pytest.fixture(autouse=True)
async def every_wire_is_closed() -> AsyncIterator[None]:
    """Also after a test that failed, whose loop would never close."""
    yield
    for wire in list(Wire.open):
        wire.close()
    await asyncio.sleep(0)


def server_of(mux: Mux, host: str = "127.0.0.1") -> tuple[str, int]:
    return host, mux.port


def sealed(keys: SrtpKeys, plain: bytes) -> bytes:
    profile = {
        SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    }[keys.profile]
    key = keys.local_key + keys.local_salt
    policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
    return bytes(Session(policy).protect(plain))


@pytest.mark.parametrize("gcm", [True, False])
@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_client_connects_in_both_roles_and_profiles(mux: Mux, gcm: bool, role: str) -> None:
    wire = await Wire.udp(server_of(mux))
    client, _peer, recorder = await connected(mux, wire, gcm=gcm, role=role)
    assert recorder.keys is not None
    assert recorder.path is not None
    assert recorder.path.address == wire.address
    assert (recorder.keys.profile is SrtpProfile.AEAD_AES_128_GCM) == gcm
    mux.send(recorder.path, sealed(recorder.keys, RTP))
    assert client.inbound.unprotect(await client.media.get()) == RTP
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: r.rtcp == [RECEIVER_REPORT])
    assert max(wire.sizes) <= 1200
    client.close()


async def test_a_publishers_media_comes_in_and_feedback_goes_out(mux: Mux) -> None:
    client, peer, recorder = await connected(
        mux, await Wire.udp(server_of(mux)), hint="publisher", role="server"
    )
    client.send_rtp(RTP)
    await recorder.until(lambda r: r.rtp == [RTP])
    peer.send_rtcp(RECEIVER_REPORT)
    assert client.inbound.unprotect_rtcp(await client.media.get()) == RECEIVER_REPORT
    client.close()


async def test_rfc3711_3_3_2_replayed_and_forged_packets_are_counted_not_delivered(
    mux: Mux,
) -> None:
    client, _, recorder = await connected(mux, await Wire.udp(server_of(mux)), hint="publisher")
    packet = client.send_rtp(RTP)
    client.wire.send(packet)
    client.wire.send(packet[:3] + bytes([packet[3] ^ 1]) + packet[4:])
    report = client.send_rtcp(RECEIVER_REPORT)
    client.wire.send(report)
    client.wire.send(report[:-1] + bytes([report[-1] ^ 4]))
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 2)
    assert recorder.rtp == [RTP]
    assert mux.counters["dropped-rtp-replayed"] == 1
    assert mux.counters["dropped-rtp-forged"] == 1
    assert mux.counters["dropped-rtcp-replayed"] == 1
    assert mux.counters["dropped-rtcp-forged"] == 1
    client.close()


async def test_a_viewer_cannot_send_media(mux: Mux) -> None:
    client, _, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    client.send_rtp(RTP)
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 1)
    assert recorder.rtp == []
    assert mux.counters["dropped-rtp-of-viewer"] == 1
    client.close()


async def test_rfc7675_a_silent_peer_is_closed() -> None:
    async with running(Mux(["127.0.0.1"], 0, limits=MuxLimits(consent_ns=S))) as mux:
        client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
        await recorder.until(lambda r: r.reason is not None)
        assert recorder.reason == "consent-expired"
        assert peer.closed
        assert mux.peers == 0
        client.close()


async def test_a_peer_that_never_comes_is_closed() -> None:
    async with running(Mux(["127.0.0.1"], 0, limits=MuxLimits(handshake_timeout_ns=S))) as mux:
        recorder = Recorder()
        mux.open(recorder, role_hint="viewer")
        await recorder.until(lambda r: r.reason == "handshake-timeout")
        assert recorder.calls == ["closed"]


async def test_a_wrong_certificate_fails_the_handshake(mux: Mux) -> None:
    recorder = Recorder()
    peer = mux.open(recorder, role_hint="viewer")
    client = Client(await Wire.udp(server_of(mux)))
    peer.accept(client.ufrag, client.pwd, "sha-256 " + ":".join(["AB"] * 32), "server")
    with pytest.raises(DtlsError):
        peer.accept(client.ufrag, client.pwd, "sha-256 AB", "server")
    connecting = asyncio.create_task(client.connect(peer))
    await recorder.until(lambda r: r.reason == "handshake-failed")
    assert mux.counters["dtls-failed-fingerprint"] == 1
    connecting.cancel()
    client.close()


async def test_close_notify_of_the_client_closes_the_peer(mux: Mux) -> None:
    client, _, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    client.shutdown()
    await recorder.until(lambda r: r.reason == "dtls-closed")
    client.close()


async def test_close_tells_the_client(mux: Mux) -> None:
    client, peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    peer.close()
    peer.close()
    async with asyncio.timeout(10):
        await client.closed.wait()
    assert recorder.calls == ["connected", "closed"]
    assert recorder.reason == "closed"
    client.close()


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


async def test_more_peers_than_fit_are_refused() -> None:
    mux = Mux(["127.0.0.1"], 0, limits=MuxLimits(peers=1))
    async with running(mux):
        first = mux.open(Recorder(), role_hint="viewer")
        with pytest.raises(Overloaded):
            mux.open(Recorder(), role_hint="viewer")
        first.close()
        mux.open(Recorder(), role_hint="viewer")


async def test_a_handler_that_fails_costs_its_own_peer(mux: Mux) -> None:
    class Broken(Recorder):
        def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
            raise ValueError("a bug")

    client, _peer, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    broken = Broken()
    other = mux.open(broken, role_hint="viewer")
    second = Client(await Wire.udp(server_of(mux)))
    other.accept(second.ufrag, second.pwd, second.fingerprint, "server")
    await second.connect(other)
    await broken.until(lambda r: "connected" in r.calls)
    second.send_rtcp(RECEIVER_REPORT)
    await broken.until(lambda r: r.reason == "handler-failed")
    client.send_rtcp(RECEIVER_REPORT)
    await recorder.until(lambda r: len(r.rtcp) == 1)
    client.close()
    second.close()


async def test_run_ends_every_peer() -> None:
    mux = Mux(["127.0.0.1"], 0)
    async with running(mux):
        client, _, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    assert recorder.reason == "closed"
    async with asyncio.timeout(10):
        await client.closed.wait()
    client.close()
    Mux(["127.0.0.1"], mux.port).close()


@pytest.mark.alone
async def test_ten_thousand_garbage_datagrams_a_second_cost_a_peer_nothing(mux: Mux) -> None:
    client, _, recorder = await connected(mux, await Wire.udp(server_of(mux)))
    reports = [struct.pack("!BBHI", 0x80, 201, 1, n) for n in range(20)]
    with flooding(server_of(mux)):
        for n in range(100):
            client.send_rtcp(reports[n % 20])
            await asyncio.sleep(0.02)
        await recorder.until(lambda r: len(r.rtcp) == 100)
    await client.check()
    dropped = sum(n for cause, n in mux.counters.items() if cause.startswith("dropped-"))
    assert dropped > 5_000
    assert recorder.calls == ["connected"]
    client.close()
