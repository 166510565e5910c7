"""SRTP keys of one peer, as DTLS exports them (RFC 5764 4.2; RFC 7714 for GCM).

Invariant: `local_*` protects what this node sends, `remote_*` what it receives; a key is used for
one direction of one peer only. Upstream: `dtls`. Downstream: `hotpath.fanout.kernel` (sending) and
`peer` (receiving).
"""

from dataclasses import dataclass, field
from enum import Enum


class SrtpProfile(Enum):
    """Value: the DTLS-SRTP profile id and the name OpenSSL has for it."""

    AEAD_AES_128_GCM = (0x0007, b"SRTP_AEAD_AES_128_GCM")
    AES128_CM_SHA1_80 = (0x0001, b"SRTP_AES128_CM_SHA1_80")

    @property
    def salt_length(self) -> int:
        return 12 if self is SrtpProfile.AEAD_AES_128_GCM else 14


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys (16 bytes) and salts of both directions."""

    profile: SrtpProfile
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)
