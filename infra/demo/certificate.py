"""A self-signed certificate for one DTLS client, and fingerprints as SDP writes them (RFC 8122)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

MTU = 1200


@dataclass(frozen=True, slots=True)
class Certificate:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> "Certificate":
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "livepath-demo")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=7))
        return cls(key, builder.sign(key, SHA256()))

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    def client(self, profiles: bytes) -> SSL.Connection:
        """A DTLS client on memory buffers that offers these SRTP profiles."""
        context = SSL.Context(SSL.DTLS_METHOD)
        # The answer's fingerprint stands for the peer, not a certificate authority.
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.use_certificate(self.certificate)
        context.use_privatekey(self.key)
        context.set_tlsext_use_srtp(profiles)
        connection = SSL.Connection(context)
        connection.set_ciphertext_mtu(MTU)
        connection.set_connect_state()
        return connection


def fingerprint_of(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA256()).hex(":").upper()
