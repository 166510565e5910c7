"""The certificate of this process: ECDSA P-256, self-signed, known to peers by its fingerprint.

Made anew at every start: WebRTC trusts the fingerprint in the SDP, not a name. Downstream: `dtls`,
`sdp`. Spec: RFC 8827 6.5, RFC 8122 5.
"""

import datetime
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_BACKDATED = datetime.timedelta(days=1)
"""For peers whose clock is behind."""
_VALID_FOR = datetime.timedelta(days=3650)
"""No peer renews it while the process lives."""


@dataclass(frozen=True, slots=True)
class Certificate:
    key: ec.EllipticCurvePrivateKey
    x509: x509.Certificate
    fingerprint: str
    """As SDP carries it: `sha-256 AA:BB:…`."""


def generate() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
    now = datetime.datetime.now(tz=datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    digest = signed.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(key, signed, f"sha-256 {digest}")
