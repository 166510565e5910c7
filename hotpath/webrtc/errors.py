"""Errors of the WebRTC transport.

LivepathError
└── WebRtcError
    ├── PortError        the WebRTC port cannot be opened; the message says the fix
    ├── Overloaded       no more peers fit: say so to the client, do not queue
    ├── CandidateError   an ICE candidate cannot be read
    ├── StunError        bytes that are no STUN message this node can act on
    ├── Rejected         an SRTP packet that is not taken; `cause` is its counter's name
    └── DtlsError        a DTLS handshake that cannot succeed; `cause` is its counter's name
"""

from infra.errors import LivepathError


class WebRtcError(LivepathError):
    """Something in the WebRTC transport cannot go on."""


class PortError(WebRtcError):
    """The WebRTC port cannot be opened."""


class Overloaded(WebRtcError):
    """No more peers fit."""


class CandidateError(WebRtcError):
    """The ICE candidate cannot be read."""


class StunError(WebRtcError):
    """The datagram is not a STUN message that this node can act on."""


class Rejected(WebRtcError):
    """The SRTP or SRTCP packet is not taken."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class DtlsError(WebRtcError):
    """The DTLS handshake cannot succeed."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
