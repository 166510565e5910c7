"""The WebRTC port over real sockets, against a client made of other people's code."""

import asyncio
import struct

import pytest

from hotpath.webrtc.errors import DtlsError, Overloaded
from hotpath.webrtc.mux import Mux, MuxLimits
from hotpath.webrtc.srtp import SrtpProfile
from tests.support.flood import flooding
from tests.support.rtc_client import Client, Recorder, Wire, connected, running
from tests.support.rtc_packets import RECEIVER_REPORT, RTP, sealed, server_of

pytestmark = pytest.mark.usefixtures("every_wire_is_closed")
S = 1_000_000_000


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
