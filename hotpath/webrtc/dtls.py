"""DTLS-SRTP handshakes by OpenSSL, in memory: datagrams in, flights and keys out.

A step takes about 0.3 ms of CPU and belongs in a worker thread; one engine is stepped by one thread
at a time. When the handshake is done the engine's OpenSSL state is freed. The peer's certificate is
checked against the SDP's fingerprint before our last flight goes out.

Upstream: `handshake`. Downstream: `srtp`, `dtls_records`. Spec: RFC 6347, RFC 5764, RFC 8827 6.5,
RFC 8842.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from OpenSSL import SSL, crypto

from hotpath.webrtc.certificate import Certificate
from hotpath.webrtc.dtls_records import MAX_DATAGRAM, AlertKeys, alert_keys, datagrams
from hotpath.webrtc.errors import DtlsError
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile

DtlsRole: TypeAlias = Literal["server", "client"]

_DTLS1_2 = 0xFEFD
_FLIGHT = 64 * 1024
_KEY = 16
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
"""RFC 8827 6.5 makes the first mandatory, so every peer has it; `AlertKeys` is written for it."""
_HASHES = {"sha-256": ("sha256", 32), "sha-384": ("sha384", 48), "sha-512": ("sha512", 64)}
"""OpenSSL's name, bytes."""
_PROFILES = (SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AES128_CM_SHA1_80)


@dataclass(frozen=True, slots=True)
class Connected:
    keys: SrtpKeys
    alerts: AlertKeys


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one step."""

    flight: tuple[bytes, ...] = ()
    connected: Connected | None = None
    error: DtlsError | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The remote certificate's digest, from the SDP."""

    algorithm: str
    """OpenSSL's name."""
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> "Fingerprint":
        """`sha-256 AA:BB:…` (RFC 8122 5)."""
        name, _, value = text.strip().partition(" ")
        if name.lower() not in _HASHES:
            known = ", ".join(_HASHES)
            raise DtlsError("fingerprint", f"the SDP's fingerprint is {name!r}: use one of {known}")
        try:
            digest = bytes.fromhex(value.replace(":", ""))
        except ValueError as error:
            raise DtlsError("fingerprint", "the SDP's fingerprint is not hexadecimal") from error
        algorithm, size = _HASHES[name.lower()]
        if len(digest) != size:
            raise DtlsError("fingerprint", f"the SDP's fingerprint is too short for {name}")
        return cls(algorithm, digest)

    def matches(self, certificate: crypto.X509) -> bool:
        """Without parsing the certificate: OpenSSL takes some that others refuse, and an exception
        in its callback would be raised in whichever connection comes next."""
        found = bytes.fromhex(certificate.digest(self.algorithm).decode().replace(":", ""))
        return hmac.compare_digest(found, self.digest)


def context(certificate: Certificate, profiles: Sequence[SrtpProfile] = _PROFILES) -> SSL.Context:
    """One for all connections of the process."""
    made = SSL.Context(SSL.DTLS_METHOD)
    made.set_min_proto_version(_DTLS1_2)
    made.set_max_proto_version(_DTLS1_2)
    made.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_CIPHER_SERVER_PREFERENCE)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_cipher_list(_CIPHERS)
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    made.use_certificate(certificate.x509)
    made.use_privatekey(certificate.key)
    made.set_tlsext_use_srtp(b":".join(profile.value[1] for profile in profiles))
    return made


def _verify(
    connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _ok: int
) -> bool:
    """RFC 8827 6.5: the SDP's fingerprint vouches for the peer's own certificate, no authority."""
    expected: Fingerprint = connection.get_app_data()
    return depth > 0 or expected.matches(certificate)


class DtlsEngine:
    """One handshake. `step` until it says connected or error; then the engine is spent."""

    __slots__ = ("_expected", "_role", "_ssl")

    def __init__(self, made: SSL.Context, role: DtlsRole, expected: Fingerprint) -> None:
        self._role = role
        self._expected = expected
        self._ssl: SSL.Connection | None = SSL.Connection(made)
        self._ssl.set_app_data(expected)
        self._ssl.set_ciphertext_mtu(MAX_DATAGRAM)
        if role == "server":
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()

    def step(self, received: Sequence[bytes]) -> Step:
        """Feed datagrams (none: start) and return what is to be sent and what has been decided."""
        if self._ssl is None:
            return Step()
        flight = b""
        for data in received or (None,):
            if data is not None:
                self._ssl.bio_write(data)
            try:
                self._ssl.do_handshake()
            except SSL.WantReadError:
                flight += self._output(self._ssl)
            except SSL.Error as error:
                flight += self._output(self._ssl)
                return self._end(Step(datagrams(flight), error=self._explain(self._ssl, error)))
            else:
                flight += self._output(self._ssl)
                return self._end(self._finish(self._ssl, datagrams(flight)))
        return Step(datagrams(flight))

    @staticmethod
    def _output(ssl: SSL.Connection) -> bytes:
        out = b""
        while True:
            try:
                out += ssl.bio_read(_FLIGHT)
            except SSL.WantReadError:
                return out

    def _end(self, step: Step) -> Step:
        self._ssl = None
        return step

    def _explain(self, ssl: SSL.Connection, error: SSL.Error) -> DtlsError:
        reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reason = "; ".join(str(entry[-1]) for entry in reasons) or repr(error)
        if "certificate verify failed" in reason:
            return DtlsError("fingerprint", "the peer's certificate is not the one of its SDP")
        if "did not return a certificate" in reason:
            return DtlsError("no-certificate", "the peer sent no certificate")
        if "alert" in reason:
            return DtlsError("alert", f"the peer gave up: {reason}")
        if "no shared cipher" in reason or "unsupported protocol" in reason:
            return DtlsError("no-common-cipher", f"{reason}; this node speaks DTLS 1.2, AES-GCM")
        return DtlsError("protocol", reason)

    def _finish(self, ssl: SSL.Connection, flight: tuple[bytes, ...]) -> Step:
        peer = ssl.get_peer_certificate()
        if peer is None or not self._expected.matches(peer):
            wrong = DtlsError("fingerprint", "the peer's certificate is not the one of its SDP")
            return Step(error=wrong)
        selected = ssl.get_selected_srtp_profile()
        for profile in _PROFILES:
            if profile.value[1] == selected:
                return Step(flight, Connected(self._srtp(ssl, profile), self._alerts(ssl)))
        return Step(error=DtlsError("no-srtp", "the peer offers no SRTP profile of this node"))

    def _srtp(self, ssl: SSL.Connection, profile: SrtpProfile) -> SrtpKeys:
        """RFC 5764 4.2: client key, server key, client salt, server salt."""
        salt = profile.salt_length
        block = ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (_KEY + salt))
        client = (block[:_KEY], block[2 * _KEY : 2 * _KEY + salt])
        server = (block[_KEY : 2 * _KEY], block[2 * _KEY + salt :])
        local, remote = (client, server) if self._role == "client" else (server, client)
        return SrtpKeys(profile, *local, *remote)

    def _alerts(self, ssl: SSL.Connection) -> AlertKeys:
        master, client, server = ssl.master_key(), ssl.client_random(), ssl.server_random()
        if master is None or client is None or server is None:
            raise RuntimeError("OpenSSL finished a handshake without secrets")
        return alert_keys(master, client, server, client=self._role == "client")
