"""Packets that a peer of the WebRTC port sends and gets."""

import struct

from pylibsrtp import Policy, Session

from hotpath.webrtc.mux import Mux
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile

RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 1234)
RTP = struct.pack("!BBHII", 0x80, 96, 7, 1000, 77) + b"payload"


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
