"""One light WebRTC viewer: ICE, DTLS 1.2 and SRTP keys on a socket of its own, no media stack.

Invariant: nothing leaves this machine, and media goes nowhere: whoever owns the peer hands it
what is not media (`receive`) and calls `tick` often. Independent of `hotpath`: STUN is aioice's,
DTLS OpenSSL's, SRTP libsrtp's, so a benchmark or test does not check our code against itself.
"""

import datetime
import secrets
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from pylibsrtp import Policy, Session

GCM, CM = b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80"
_POLICIES = {
    GCM: (16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    CM: (16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
}
MTU = 1200
RECEIVE_BUFFER = 1 << 20
SO_RCVBUFFORCE = 33
_PRIORITY = 1_853_824_767
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
)
FIRST_CHECKS_S, CONSENT_S, RETRANSMIT_S = 0.05, 4.0, 0.1


@dataclass(frozen=True, slots=True)
class Remote:
    """What the other side's description says."""

    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    candidates: tuple[tuple[str, int], ...]
    codecs: dict[int, str] = field(default_factory=dict)
    """Lower-case codec name by payload type."""
    repairs: dict[int, int] = field(default_factory=dict)
    """RTX payload type → the payload type it repairs."""


@cache
def certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, str]:
    """One for all viewers of a process: making it is no part of any measurement."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "viewer")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made, key, fingerprint(made)


def fingerprint(one: x509.Certificate) -> str:
    return ":".join(f"{byte:02X}" for byte in one.fingerprint(hashes.SHA256()))


@cache
def _context(profiles: bytes) -> SSL.Context:
    made, key, _ = certificate()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(made)
    context.use_privatekey(key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(profiles)
    return context


class Peer:
    """A viewer's transport. Times are seconds of `time.monotonic`."""

    def __init__(
        self, *, profiles: bytes = GCM, controlling: bool = True, host: str = "127.0.0.1"
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.bind((host, 0))
        self.host = host
        self.port = int(self.socket.getsockname()[1])
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(12)
        self.fingerprint = certificate()[2]
        self.controlling = controlling
        self.remote: Remote | None = None
        self.destination: tuple[str, int] | None = None
        self.failure: str | None = None
        self.times: dict[str, float] = {}
        """When it was answered, had a pair, and had keys."""
        self.profile = b""
        self.ssrc = secrets.randbits(31) | 1
        self._profiles = profiles
        self._tie_breaker = secrets.randbits(63)
        self._next_check = 0.0
        self._resend_at = 0.0
        self._nominated = controlling
        self._dtls: SSL.Connection | None = None
        self._early: list[bytes] = []
        self._outbound: Session | None = None
        self._inbound: Session | None = None

    @property
    def connected(self) -> bool:
        return self._outbound is not None

    def start(self, remote: Remote) -> None:
        here = tuple(c for c in remote.candidates if _is_here(c[0]))
        self.remote = remote
        self.times["answered"] = time.monotonic()
        if not here:
            self.failure = f"none of these is an address of this machine: {remote.candidates}"
        self._candidates = here
        self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        if self.remote is None or self.failure:
            return
        if now >= self._next_check:
            self._check()
            self._next_check = now + (CONSENT_S if self.destination else FIRST_CHECKS_S)
        if self._dtls is not None and not self.connected and now >= self._resend_at:
            self._resend_at = now + RETRANSMIT_S
            self._dtls.DTLSv1_handle_timeout()
            self._flush(self._dtls)

    def receive(self, data: bytes, address: tuple[str, int], now: float) -> None:
        """STUN or DTLS. RTCP and media belong to the owner."""
        if data and data[0] < 4:
            self._receive_stun(data, address, now)
        elif data and 20 <= data[0] < 64:
            self._receive_dtls(data, now)

    def unprotect(self, data: bytes) -> bytes:
        """Decrypted RTP; raises `pylibsrtp.Error` for what does not verify."""
        assert self._inbound is not None
        return self._inbound.unprotect(data)

    def unprotect_rtcp(self, data: bytes) -> bytes:
        assert self._inbound is not None
        return self._inbound.unprotect_rtcp(data)

    def send_rtcp(self, plain: bytes) -> None:
        if self._outbound is not None and self.destination is not None:
            self._send(self._outbound.protect_rtcp(plain), self.destination)

    def close(self) -> None:
        if self._dtls is not None and self.connected:
            try:
                self._dtls.shutdown()
                self._flush(self._dtls)
            except SSL.Error:
                pass
        self.socket.close()

    def _send(self, data: bytes, address: tuple[str, int]) -> None:
        with suppress(ConnectionRefusedError, BlockingIOError):  # lost, as on any network
            self.socket.sendto(data, address)

    # -- ICE ---------------------------------------------------------------------------------

    def _check(self) -> None:
        remote = self.remote
        assert remote is not None
        for address in (self.destination,) if self.destination else self._candidates:
            message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            message.attributes["USERNAME"] = f"{remote.ufrag}:{self.ufrag}"
            message.attributes["PRIORITY"] = _PRIORITY
            if self.controlling:
                message.attributes["ICE-CONTROLLING"] = self._tie_breaker
                message.attributes["USE-CANDIDATE"] = None
            else:
                message.attributes["ICE-CONTROLLED"] = self._tie_breaker
            message.add_message_integrity(remote.pwd.encode())
            message.add_fingerprint()
            self._send(bytes(message), address)

    def _receive_stun(self, data: bytes, address: tuple[str, int], now: float) -> None:
        kind = int.from_bytes(data[:2], "big")
        if kind == 0x0001:
            request = stun.parse_message(data)
            if "USE-CANDIDATE" in request.attributes:
                self._nominated = True
            answer = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id
            )
            answer.attributes["XOR-MAPPED-ADDRESS"] = address
            answer.add_message_integrity(self.pwd.encode())
            answer.add_fingerprint()
            self._send(bytes(answer), address)
        elif kind == 0x0101 and self.destination is None:
            self.destination = address
            self.times["ice"] = now
        if self.destination is not None and self._nominated and self._dtls is None:
            self._start_dtls(now)

    # -- DTLS --------------------------------------------------------------------------------

    def _start_dtls(self, now: float) -> None:
        remote = self.remote
        assert remote is not None
        self._dtls = dtls = SSL.Connection(_context(self._profiles))
        dtls.set_ciphertext_mtu(MTU)
        if remote.setup == "active":
            dtls.set_accept_state()
        else:
            dtls.set_connect_state()
        self._shake_hands(dtls, now)
        early, self._early = self._early, []
        for data in early:
            self._receive_dtls(data, now)

    def _receive_dtls(self, data: bytes, now: float) -> None:
        dtls = self._dtls
        if dtls is None:
            self._early.append(data)
            return
        dtls.bio_write(data)
        if not self.connected:
            self._shake_hands(dtls, now)
            return
        try:
            dtls.recv(MTU)
        except SSL.ZeroReturnError:
            self.failure = self.failure or "the server closed the session"
        except SSL.Error:
            pass
        self._flush(dtls)  # a lost last flight is asked for again

    def _shake_hands(self, dtls: SSL.Connection, now: float) -> None:
        try:
            dtls.do_handshake()
        except SSL.WantReadError:
            self._resend_at = now + RETRANSMIT_S
            self._flush(dtls)
            return
        except SSL.Error as error:
            self.failure = f"DTLS failed: {error.args}"
            return
        self._flush(dtls)
        theirs = dtls.get_peer_certificate(as_cryptography=True)
        assert self.remote is not None
        assert theirs is not None
        if fingerprint(theirs) != self.remote.fingerprint:
            self.failure = "the certificate is not the one that the description names"
            return
        self._take_keys(dtls)
        self.times["connected"] = now

    def _take_keys(self, dtls: SSL.Connection) -> None:
        self.profile = dtls.get_selected_srtp_profile()
        if self.profile not in _POLICIES:
            self.failure = "no SRTP profile was agreed"
            return
        key, salt, profile = _POLICIES[self.profile]
        made = dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = made[:key] + made[2 * key : 2 * key + salt]
        server = made[key : 2 * key] + made[2 * key + salt :]
        assert self.remote is not None
        ours, theirs = (server, client) if self.remote.setup == "active" else (client, server)
        self._outbound = _session(ours, Policy.SSRC_ANY_OUTBOUND, profile)
        self._inbound = _session(theirs, Policy.SSRC_ANY_INBOUND, profile)

    def _flush(self, dtls: SSL.Connection) -> None:
        """Send the flight in datagrams of whole records."""
        assert self.destination is not None
        for datagram in _datagrams(_drained(dtls.bio_read)):
            self._send(datagram, self.destination)


def own_address() -> str:
    """The address of this machine that its route to others has; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


@cache
def _is_here(host: str) -> bool:
    """Packets to the machine's own addresses never leave it, whatever interface has them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _session(key: bytes, direction: int, profile: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))


def _drained(read: Callable[[int], Any]) -> bytes:
    out = b""
    while True:
        try:
            out += read(65_536)
        except SSL.WantReadError:
            return out


def _datagrams(flight: bytes) -> list[bytes]:
    out: list[bytes] = []
    at = begin = 0
    while at < len(flight):
        end = at + 13 + struct.unpack_from("!H", flight, at + 11)[0]
        if end - begin > MTU and at > begin:
            out.append(flight[begin:at])
            begin = at
        at = end
    return [*out, flight[begin:]] if begin < len(flight) else out
