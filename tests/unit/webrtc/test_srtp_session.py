"""SRTP and SRTCP of one peer: RFC 3711 3.3, RFC 7714."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc.errors import Rejected
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile
from hotpath.webrtc.srtp_session import MAX_SSRCS, SrtpReceiver, SrtpSender

GCM, CM = SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AES128_CM_SHA1_80


def keys(profile: SrtpProfile, *, mirrored: bool = False) -> SrtpKeys:
    one = (b"a" * 16, b"s" * profile.salt_length)
    other = (b"b" * 16, b"t" * profile.salt_length)
    return SrtpKeys(profile, *((*other, *one) if mirrored else (*one, *other)))


def rtp(sequence: int, ssrc: int = 77) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, 1000, ssrc) + b"payload"


def report(ssrc: int = 5) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


@pytest.mark.parametrize("profile", [GCM, CM])
def test_each_side_opens_what_the_other_sealed(profile: SrtpProfile) -> None:
    sender, receiver = SrtpSender(keys(profile)), SrtpReceiver(keys(profile, mirrored=True))
    assert receiver.rtp(sender.rtp(rtp(1))) == rtp(1)
    assert receiver.rtcp(sender.rtcp(report())) == report()


@pytest.mark.parametrize("profile", [GCM, CM])
def test_rfc3711_3_3_2_a_replay_is_refused_but_reordering_is_not(profile: SrtpProfile) -> None:
    sender, receiver = SrtpSender(keys(profile)), SrtpReceiver(keys(profile, mirrored=True))
    packets = [sender.rtp(rtp(n)) for n in range(700)]
    for packet in packets[::-1]:
        receiver.rtp(packet)
    with pytest.raises(Rejected, match="rtp-replayed"):
        receiver.rtp(packets[350])
    sealed = sender.rtcp(report())
    receiver.rtcp(sealed)
    with pytest.raises(Rejected, match="rtcp-replayed"):
        receiver.rtcp(sealed)


def test_sequence_numbers_wrap() -> None:
    sender, receiver = SrtpSender(keys(GCM)), SrtpReceiver(keys(GCM, mirrored=True))
    for sequence in range(65_500, 65_600):
        assert receiver.rtp(sender.rtp(rtp(sequence))) == rtp(sequence)


@pytest.mark.parametrize(
    ("packet", "cause"),
    [(b"", "short"), (rtp(1)[:11], "short"), (rtp(1) + bytes(40), "forged"), (bytes(1501), "long")],
)
def test_what_cannot_be_opened_is_named(packet: bytes, cause: str) -> None:
    receiver = SrtpReceiver(keys(GCM, mirrored=True))
    with pytest.raises(Rejected, match=f"rtp-{cause}"):
        receiver.rtp(packet)


def test_a_peer_cannot_grow_memory_by_new_ssrcs() -> None:
    sender, receiver = SrtpSender(keys(GCM)), SrtpReceiver(keys(GCM, mirrored=True))
    for ssrc in range(MAX_SSRCS):
        receiver.rtp(sender.rtp(rtp(1, ssrc)))
    with pytest.raises(Rejected, match="ssrc-limit"):
        receiver.rtp(sender.rtp(rtp(1, MAX_SSRCS)))
    assert receiver.rtp(sender.rtp(rtp(2, 0))) == rtp(2, 0)


@given(st.binary(max_size=1600), st.sampled_from([GCM, CM]))
def test_nothing_forged_is_returned(data: bytes, profile: SrtpProfile) -> None:
    receiver = SrtpReceiver(keys(profile, mirrored=True))
    for packet in (data, b"\x80\x60" + data, b"\x80\xc9" + data):
        with pytest.raises(Rejected):
            receiver.rtp(packet)
        with pytest.raises(Rejected):
            receiver.rtcp(packet)
