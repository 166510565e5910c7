"""A lean WHEP client: SDP over HTTP, ICE, DTLS and SRTP on one blocking socket, nothing buffered.

A browser's jitter buffer and scheduler would be measured along with the server; this one hands out
each packet with the kernel's receive time. It is a client as RFC 9725 asks for: it offers, is DTLS
client of an ICE-lite server, checks the certificate's fingerprint, renews consent and deletes its
session. It shares no code with the server. Upstream: any WHEP URL. Downstream: `whep_viewing`.
"""

import contextlib
import re
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Self
from urllib.parse import urljoin

import httpx2
from aioice import stun
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket
from OpenSSL import SSL
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from infra.demo.certificate import Certificate, fingerprint_of
from infra.demo.errors import MediaError

VIDEO, AUDIO = 96, 111
PROFILES = ("42e01f", "4d001f", "64001f")
CONNECT_S = 5.0
_POLL_S, _CONSENT_S = 0.05, 2.5
_RECEIVE_BUFFER = 4 << 20
_SO_TIMESTAMPNS = 35
_GCM = b"SRTP_AEAD_AES_128_GCM"
_SRTP = {
    _GCM: (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 14),
}


@cache
def _trusted() -> ssl.SSLContext:
    """Authorities take tens of milliseconds to read: once for all joins."""
    return ssl.create_default_context()


class WhepClient:
    """One session. Use as `with`; `packets` yields until `stop()` says so."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._certificate = Certificate.make()
        self._ufrag, self._pwd = secrets.token_hex(4), secrets.token_hex(16)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.settimeout(_POLL_S)
        self._http = httpx2.Client(timeout=10.0, trust_env=False, verify=_trusted())
        self._resource: str | None = None
        self._answer = ""
        self._address = ("", 0)
        self._reachable = False
        self._checked_at = float("-inf")
        self._dtls: SSL.Connection | None = None
        self._srtp: Session | None = None
        self._reports: Session | None = None
        self._reporter = secrets.randbits(32)
        self.video_type = self.audio_type = -1
        """Payload types that the answer chose."""
        self.asked_ns = 0
        """Unix time of the request."""

    def __enter__(self) -> Self:
        try:
            self._signal()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._resource:
            with contextlib.suppress(httpx2.TransportError):
                self._http.delete(self._resource)
        self._release()

    def packets(self, stop: Callable[[], bool]) -> Iterator[tuple[RtpPacket, int]]:
        """Every RTP packet with the Unix time, in ns, at which the kernel had it."""
        deadline = time.monotonic() + CONNECT_S
        while not stop():
            self._check_path()
            received = self._receive()
            if self._srtp is None:
                if time.monotonic() > deadline:
                    raise MediaError(f"{self._url}: no media path within {CONNECT_S:g} s")
                self._drive_dtls()
            if received and (packet := self._handle(received[0])):
                yield packet, received[1]

    def report_loss(self, packet: RtpPacket, share: float) -> None:
        """A receiver report on the packet's source: so much of it was lost since the last."""
        if self._reports is None:
            return
        block = RtcpReceiverInfo(
            ssrc=packet.ssrc, fraction_lost=int(256 * share), packets_lost=0,
            highest_sequence=packet.sequence_number, jitter=0, lsr=0, dlsr=0,
        )  # fmt: skip
        report = bytes(RtcpRrPacket(ssrc=self._reporter, reports=[block]))
        self._socket.sendto(self._reports.protect_rtcp(report), self._address)

    def _signal(self) -> None:
        self._socket.bind(("", 0))
        offer = _offer(self._ufrag, self._pwd, self._certificate.fingerprint)
        self.asked_ns = time.time_ns()
        try:
            reply = self._http.post(
                self._url, content=offer, headers={"Content-Type": "application/sdp"}
            )
        except httpx2.TransportError as error:
            raise MediaError(f"{self._url} does not answer: {error}") from error
        if reply.status_code != 201:
            raise MediaError(f"{self._url} answered {reply.status_code}: {reply.text[:300]}")
        self._resource = urljoin(self._url, reply.headers.get("Location", ""))
        self._answer = reply.text
        self._address = self._candidate()
        self.video_type, self.audio_type = self._chosen("H264"), self._chosen("opus")
        if self._line("setup") == "active":
            raise MediaError(f"{self._url} wants to be DTLS client; this client is one as well")

    def _line(self, name: str) -> str:
        found = re.search(rf"^a={name}:(.*?)\r?$", self._answer, re.MULTILINE)
        if found is None:
            raise MediaError(f"{self._url}: the answer has no a={name}")
        return found[1]

    def _candidate(self) -> tuple[str, int]:
        pattern = r"^a=candidate:\S+ 1 udp (\d+) ([\d.]+) (\d+) typ host"
        found = re.findall(pattern, self._answer, re.MULTILINE | re.IGNORECASE)
        if not found:
            raise MediaError(f"{self._url}: the answer has no IPv4 candidate over UDP")
        _, address, port = max(found, key=lambda candidate: int(candidate[0]))
        return address, int(port)

    def _chosen(self, codec: str) -> int:
        found = re.search(rf"^a=rtpmap:(\d+) {codec}/", self._answer, re.MULTILINE | re.IGNORECASE)
        return int(found[1]) if found else -1

    def _check_path(self) -> None:
        """A connectivity check: until the path works, then now and then for consent (RFC 7675)."""
        now = time.monotonic()
        if now - self._checked_at < (_CONSENT_S if self._reachable else _POLL_S):
            return
        self._checked_at = now
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{self._line('ice-ufrag')}:{self._ufrag}",
                "PRIORITY": 1853824767,
                "ICE-CONTROLLING": secrets.randbits(64),
                "USE-CANDIDATE": None,
            },
        )
        request.add_message_integrity(self._line("ice-pwd").encode())
        self._socket.sendto(bytes(request), self._address)

    def _receive(self) -> tuple[bytes, int] | None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(2048, socket.CMSG_SPACE(16))
        except TimeoutError:
            return None
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("@ll", value[: struct.calcsize("@ll")])
                return data, seconds * 1_000_000_000 + nanoseconds
        return data, time.time_ns()

    def _handle(self, data: bytes) -> RtpPacket | None:
        """Told apart by the first byte (RFC 7983)."""
        first = data[0] if data else 255
        if first < 4:
            self._handle_stun(data)
        elif 20 <= first < 64 and self._dtls is not None:
            self._dtls.bio_write(data)
            self._drive_dtls()
        elif 128 <= first < 192 and self._srtp is not None and data[1] & 0x7F not in range(64, 96):
            with contextlib.suppress(SrtpError, ValueError):
                return RtpPacket.parse(self._srtp.unprotect(data))
        return None

    def _handle_stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class is stun.Class.REQUEST:
            self._answer_check(message)
        elif message.message_class is stun.Class.RESPONSE and not self._reachable:
            self._take_path(message)

    def _answer_check(self, request: stun.Message) -> None:
        """A full agent checks the path itself; an ICE-lite one never does."""
        if not request.check_message_integrity(self._pwd.encode()):
            return
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": self._address},
        )
        response.add_message_integrity(self._pwd.encode())
        self._socket.sendto(bytes(response), self._address)

    def _take_path(self, response: stun.Message) -> None:
        if response.check_message_integrity(self._line("ice-pwd").encode()):
            self._reachable = True
            self._dtls = self._certificate.client(b":".join(_SRTP))
            self._drive_dtls()

    def _drive_dtls(self) -> None:
        """Take the handshake as far as what came allows, and send what it has to say."""
        connection = self._dtls
        if connection is None or self._srtp is not None:
            return
        with contextlib.suppress(SSL.WantReadError):
            connection.DTLSv1_handle_timeout()
            connection.do_handshake()
            self._start_srtp(connection)
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._send_records(connection.bio_read(1 << 16))

    def _send_records(self, flight: bytes) -> None:
        """A datagram for each record: a whole flight may be larger than a packet."""
        while flight:
            size = 13 + int.from_bytes(flight[11:13], "big")
            self._socket.sendto(flight[:size], self._address)
            flight = flight[size:]

    def _start_srtp(self, connection: SSL.Connection) -> None:
        algorithm, _, expected = self._line("fingerprint").partition(" ")
        peer = connection.get_peer_certificate()
        if algorithm != "sha-256" or peer is None:
            raise MediaError(f"{self._url}: the server showed no certificate that can be checked")
        if fingerprint_of(peer.to_cryptography()) != expected.upper():
            raise MediaError(f"{self._url}: the certificate is not the one of the answer")
        profile, salt = _SRTP[connection.get_selected_srtp_profile()]
        # RFC 5764 4.2: client key, server key, client salt, server salt.
        material = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (16 + salt))
        theirs = material[16:32] + material[32 + salt :]
        policy = Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        self._srtp = Session(policy)
        ours = material[:16] + material[32 : 32 + salt]
        policy = Policy(key=ours, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        self._reports = Session(policy)

    def _release(self) -> None:
        self._http.close()
        self._socket.close()


def _offer(ufrag: str, pwd: str, fingerprint: str) -> str:
    ice = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", f"a=fingerprint:sha-256 {fingerprint}"]
    ice += ["a=setup:actpass", "a=rtcp-mux", "a=recvonly", "c=IN IP4 0.0.0.0"]
    types = [str(VIDEO + number) for number in range(len(PROFILES))]
    video = [f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(types)}", "a=mid:0", *ice]
    for kind, profile in zip(types, PROFILES, strict=True):
        mode = "level-asymmetry-allowed=1;packetization-mode=1"
        video += [f"a=rtpmap:{kind} H264/90000", f"a=fmtp:{kind} {mode};profile-level-id={profile}"]
        video += [f"a=rtcp-fb:{kind} nack pli"]
    audio = [f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO}", "a=mid:1", *ice]
    audio += [f"a=rtpmap:{AUDIO} opus/48000/2", f"a=fmtp:{AUDIO} useinbandfec=1"]
    head = ["v=0", f"o=- {secrets.randbits(60)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    head += ["a=group:BUNDLE 0 1", "a=msid-semantic: WMS"]
    return "\r\n".join([*head, *video, *audio, ""])
