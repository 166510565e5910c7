"""SRTP and SRTCP of one peer, by libsrtp: what it sends is opened, what we answer is sealed.

Invariant: a packet that is forged, replayed or too large is never returned; it raises `Rejected`
with its cause. A viewer's session opens SRTCP only; the fan-out kernel seals what a viewer gets.

Upstream: `srtp` (keys). Downstream: `peer`. Spec: RFC 3711 3.3, RFC 7714.
"""

from pylibsrtp import Error, Policy, Session

from hotpath.webrtc.errors import Rejected
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile

MAX_SSRCS = 32
"""libsrtp keeps state for every SSRC that ever authenticated: a publisher has at most a dozen."""
_REPLAY_WINDOW = 1024
"""Packets: 0.7 s of a 12 Mbit/s stream, so that a late RTX is no replay."""
_MIN_RTP = 12
_MIN_RTCP = 8
_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class SrtpReceiver:
    """Opens what the peer sends."""

    __slots__ = ("_session", "_ssrcs")

    def __init__(self, keys: SrtpKeys) -> None:
        policy = _policy(keys, keys.remote_key + keys.remote_salt, Policy.SSRC_ANY_INBOUND)
        self._session = Session(policy)
        self._ssrcs: frozenset[bytes] = frozenset()

    def rtp(self, packet: bytes) -> bytes:
        if len(packet) < _MIN_RTP:
            raise Rejected("rtp-short")
        return self._open(packet, packet[8:12], "rtp")

    def rtcp(self, packet: bytes) -> bytes:
        if len(packet) < _MIN_RTCP:
            raise Rejected("rtcp-short")
        return self._open(packet, packet[4:8], "rtcp")

    def _open(self, packet: bytes, ssrc: bytes, kind: str) -> bytes:
        known = ssrc in self._ssrcs
        if not known and len(self._ssrcs) >= MAX_SSRCS:
            raise Rejected("ssrc-limit")
        unprotect = self._session.unprotect if kind == "rtp" else self._session.unprotect_rtcp
        try:
            plain: bytes = unprotect(packet)
        except Error as error:
            cause = "replayed" if "replay" in str(error) else "forged"
            raise Rejected(f"{kind}-{cause}") from error
        except ValueError as error:
            raise Rejected(f"{kind}-long") from error
        if not known:
            self._ssrcs |= {ssrc}
        return plain


class SrtpSender:
    """Seals what this node says to a publisher."""

    __slots__ = ("_session",)

    def __init__(self, keys: SrtpKeys) -> None:
        policy = _policy(keys, keys.local_key + keys.local_salt, Policy.SSRC_ANY_OUTBOUND)
        self._session = Session(policy)

    def rtp(self, plain: bytes) -> bytes:
        return bytes(self._session.protect(plain))

    def rtcp(self, plain: bytes) -> bytes:
        return bytes(self._session.protect_rtcp(plain))


def _policy(keys: SrtpKeys, key: bytes, ssrcs: int) -> Policy:
    policy = Policy(key=key, ssrc_type=ssrcs, srtp_profile=_PROFILES[keys.profile])
    policy.window_size = _REPLAY_WINDOW
    return policy
