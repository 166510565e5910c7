"""The transport against aiortc's RTCPeerConnection, with the product's own SDP."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from pylibsrtp import Policy, Session

from hotpath.webrtc import sdp
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.peer import Peer
from tests.support.rtc_client import Recorder, running


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with running(Mux(["0.0.0.0"], 0)) as made:
        yield made


async def watch(mux: Mux, pc: RTCPeerConnection, recorder: Recorder) -> Peer:
    for kind in ("video", "audio"):
        pc.addTransceiver(kind, direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    offer = sdp.parse_offer(pc.localDescription.sdp)
    peer = mux.open(recorder, role_hint="viewer")
    peer.accept(offer.ufrag, offer.pwd, offer.fingerprint, "server")
    answer = sdp.viewer_answer(
        offer,
        sdp.choose_viewer(offer, profile_level_id="42e01f"),
        ufrag=peer.ufrag,
        pwd=peer.pwd,
        fingerprint=mux.fingerprint,
        candidates=mux.candidates,
        setup="passive",
        ssrcs=sdp.SendSsrcs(video=1, video_rtx=2, audio=3),
        cname="livepath",
        stream_id="stream",
    )
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await recorder.until(lambda r: "connected" in r.calls)
    return peer


async def test_a_viewer_of_video_and_audio_connects_and_opens_what_we_seal(mux: Mux) -> None:
    recorder, pc = Recorder(), RTCPeerConnection()
    await watch(mux, pc, recorder)
    keys = recorder.keys
    assert keys is not None
    transport = pc.getReceivers()[0].transport
    async with asyncio.timeout(10):
        while transport.state != "connected":
            await asyncio.sleep(0.01)
    policy = Policy(
        key=keys.local_key + keys.local_salt,
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    packet = struct.pack("!BBHII", 0x80, 96, 7, 1000, 1) + b"payload"
    assert transport._rx_srtp.unprotect(Session(policy).protect(packet)) == packet
    report = struct.pack("!BBHI", 0x80, 201, 1, 9)
    await transport._send_rtp(report)
    await recorder.until(lambda r: report in r.rtcp)
    await pc.close()
    await recorder.until(lambda r: r.reason == "dtls-closed")


async def test_closing_a_peer_closes_aiortcs_transport(mux: Mux) -> None:
    recorder, pc = Recorder(), RTCPeerConnection()
    peer = await watch(mux, pc, recorder)
    peer.close()
    async with asyncio.timeout(10):
        while pc.connectionState != "closed":
            await asyncio.sleep(0.01)
    await pc.close()


@pytest.mark.parametrize("setup", ["passive", "active"])
async def test_a_publisher_is_heard_whoever_begins_the_handshake(mux: Mux, setup: str) -> None:
    recorder, pc = Recorder(), RTCPeerConnection()
    pc.addTrack(AudioStreamTrack())
    await pc.setLocalDescription(await pc.createOffer())
    offer = sdp.parse_offer(pc.localDescription.sdp)
    peer = mux.open(recorder, role_hint="publisher")
    role = "server" if setup == "passive" else "client"
    peer.accept(offer.ufrag, offer.pwd, offer.fingerprint, role)  # type: ignore[arg-type]
    answer = sdp.publisher_answer(
        offer,
        sdp.choose_publisher(offer),
        ufrag=peer.ufrag,
        pwd=peer.pwd,
        fingerprint=mux.fingerprint,
        candidates=mux.candidates,
        setup=setup,  # type: ignore[arg-type]
    )
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await recorder.until(lambda r: len(r.rtp) >= 10 and len(r.rtcp) >= 1)
    assert {packet[8:12] for packet in recorder.rtp} == {recorder.rtp[0][8:12]}
    assert peer.round_trip_ns is not None
    await pc.close()
