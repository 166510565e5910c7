"""A WebRTC client of a few lines for transport tests: it does only what a test tells it to.

STUN is aioice's, DTLS is plain pyOpenSSL with aiortc's context, SRTP is pylibsrtp: nothing of the
product under test but its SDP-level data (credentials, fingerprint) is used.
"""

import asyncio
import contextlib
import socket
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

from aioice import stun
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCCertificate,
    certificate_digest,
)
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from hotpath.webrtc.handler import RtcpOpener
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.srtp import SrtpKeys

Address = tuple[str, int]
WAIT_S = 20.0
UFRAG, PWD = "clientufrag", "client-password-of-24-chars"


class Recorder:
    """A handler that keeps what it hears."""

    def __init__(self) -> None:
        self.keys: SrtpKeys | None = None
        self.path: Path | None = None
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.calls: list[str] = []
        self.reason: str | None = None
        self._changed = asyncio.Event()

    def peer_connected(self, keys: SrtpKeys, path: Path) -> RtcpOpener | None:
        self.keys, self.path = keys, path
        self._note("connected")
        return None

    def peer_moved(self, path: Path) -> None:
        self.path = path
        self._note("moved")

    def peer_rtp(self, packet: bytes, received_ns: int) -> None:
        self.rtp.append(packet)
        self._changed.set()

    def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
        self.rtcp.append(packet)
        self._changed.set()

    def peer_closed(self, reason: str) -> None:
        self.reason = reason
        self._note("closed")

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()


@contextlib.asynccontextmanager
async def running(mux: Mux) -> AsyncIterator[Mux]:
    task = asyncio.create_task(mux.run())
    try:
        yield mux
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        mux.close()


class Wire(asyncio.DatagramProtocol):
    """One UDP socket or TCP connection: datagrams in a queue."""

    open: ClassVar["weakref.WeakSet[Wire]"] = weakref.WeakSet()
    """Not closed yet; a uvloop with one of them never closes, so a test that fails must."""

    def __init__(self, server: Address) -> None:
        Wire.open.add(self)
        self.server = server
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.sizes: list[int] = []

    @classmethod
    async def udp(cls, server: Address) -> "Wire":
        wire = cls(server)
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        local = ("::1" if ":" in server[0] else "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        wire._transport, _ = await loop.create_datagram_endpoint(
            lambda: wire, local_addr=local, family=family
        )
        return wire

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.sizes.append(len(data))
        self.received.put_nowait(data)

    def send(self, data: bytes) -> None:
        self._transport.sendto(data, self.server)

    @property
    def address(self) -> Address:
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def close(self) -> None:
        Wire.open.discard(self)
        self._transport.close()


class TcpWire(Wire):
    """RFC 4571 frames instead of datagrams."""

    @classmethod
    async def connect(cls, server: Address) -> "TcpWire":
        wire = cls(server)
        wire._reader, wire._writer = await asyncio.open_connection(*server)
        wire._pump = asyncio.create_task(wire._read())
        return wire

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
                self.datagram_received(await self._reader.readexactly(size), None)

    def hold(self) -> None:
        """Read nothing any more, for ever: a page that hangs, a phone without a network."""
        self._reader._transport.pause_reading()  # type: ignore[attr-defined]

    async def closed_by_server(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self._pump

    def send(self, data: bytes) -> None:
        self._writer.write(len(data).to_bytes(2, "big") + data)

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    @property
    def address(self) -> Address:
        host, port = self._writer.get_extra_info("sockname")[:2]
        return host, port

    def close(self) -> None:
        Wire.open.discard(self)
        self._writer.close()
        self._pump.cancel()


class Client:
    """Connects over a `Wire`; may go on over another one."""

    def __init__(self, wire: Wire, *, gcm: bool = True, role: str = "client") -> None:
        self.wire = wire
        self.role = role
        self.ufrag, self.pwd = UFRAG, PWD
        self.answers = True
        """False: checks of the server stay unanswered."""
        self.seen: Counter[str] = Counter()
        self.responses: list[stun.Message] = []
        self.media: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.keys: tuple[bytes, bytes] = (b"", b"")
        self.profile = SRTP_AEAD_AES_128_GCM if gcm else SRTP_AES128_CM_SHA1_80
        certificate = RTCCertificate.generateCertificate()
        self.fingerprint = "sha-256 " + certificate_digest(certificate._cert, "sha-256")
        self._ssl = SSL.Connection(certificate._create_ssl_context([self.profile]))
        self._ssl.set_ciphertext_mtu(1200)
        if role == "client":
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, peer: Peer, *, nominate: bool = True) -> None:
        self.remote = (peer.ufrag, peer.pwd)
        self.listen(self.wire)
        await self.check(nominate=nominate)
        self._handshake()
        async with asyncio.timeout(WAIT_S):
            await self.connected.wait()

    def listen(self, wire: Wire) -> None:
        self._tasks.append(asyncio.create_task(self._run(wire)))

    def request(self, *, nominate: bool, key: str | None = None) -> stun.Message:
        made = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        made.attributes["USERNAME"] = f"{self.remote[0]}:{self.ufrag}"
        made.attributes["PRIORITY"] = 1
        made.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            made.attributes["USE-CANDIDATE"] = None
        made.add_message_integrity((key or self.remote[1]).encode())
        return made

    async def check(self, *, nominate: bool = True, wire: Wire | None = None) -> stun.Message:
        """Until it is answered."""
        request = self.request(nominate=nominate)
        async with asyncio.timeout(WAIT_S):
            while True:
                (wire or self.wire).send(bytes(request))
                for _ in range(20):
                    await asyncio.sleep(0.01)
                    for response in self.responses:
                        if response.transaction_id == request.transaction_id:
                            return response

    def send_rtcp(self, plain: bytes) -> bytes:
        sealed = self.outbound.protect_rtcp(plain)
        self.wire.send(sealed)
        return bytes(sealed)

    def send_rtp(self, plain: bytes) -> bytes:
        sealed = self.outbound.protect(plain)
        self.wire.send(sealed)
        return bytes(sealed)

    def shutdown(self) -> None:
        self._ssl.shutdown()
        self._flush()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.wire.close()

    async def _run(self, wire: Wire) -> None:
        while True:
            try:
                async with asyncio.timeout(0.2):
                    data = await wire.received.get()
            except TimeoutError:
                if not self.connected.is_set() and self._ssl.DTLSv1_get_timeout() == 0:
                    self._ssl.DTLSv1_handle_timeout()
                    self._flush()
                continue
            if data[0] < 4:
                self._stun(data, wire)
            elif data[0] < 64:
                self.seen["dtls"] += 1
                self._ssl.bio_write(data)
                self._handshake()
            else:
                self.media.put_nowait(data)

    def _stun(self, data: bytes, wire: Wire) -> None:
        message = stun.parse_message(data)
        if message.message_class is stun.Class.REQUEST:
            self.seen["check"] += 1
            if message.check_message_integrity(self.pwd.encode()) and self.answers:
                answer = stun.Message(
                    stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id
                )
                answer.attributes["XOR-MAPPED-ADDRESS"] = wire.server
                answer.add_message_integrity(self.pwd.encode())
                wire.send(bytes(answer))
        else:
            assert message.check_message_integrity(self.remote[1].encode())
            self.responses.append(message)

    def _handshake(self) -> None:
        try:
            if not self.connected.is_set():
                self._ssl.do_handshake()
                self._connected()
            else:
                self._ssl.recv(1500)
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.Error):
            self.closed.set()
        self._flush()

    def _connected(self) -> None:
        profile = self.profile
        assert self._ssl.get_selected_srtp_profile() == profile.openssl_profile
        size = 2 * (profile.key_length + profile.salt_length)
        block = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        ours = 0 if self.role == "client" else 1
        self.keys = (
            profile.get_key_and_salt(block, ours),
            profile.get_key_and_salt(block, 1 - ours),
        )
        self.outbound = self._session(self.keys[0], Policy.SSRC_ANY_OUTBOUND)
        self.inbound = self._session(self.keys[1], Policy.SSRC_ANY_INBOUND)
        self.connected.set()

    def _session(self, key: bytes, ssrcs: int) -> Session:
        policy = Policy(key=key, ssrc_type=ssrcs, srtp_profile=self.profile.libsrtp_profile)
        return Session(policy)

    def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                flight = self._ssl.bio_read(65536)
                while flight:  # one record a datagram
                    end = 13 + int.from_bytes(flight[11:13], "big")
                    self.wire.send(flight[:end])
                    flight = flight[end:]


async def connected(
    mux: Mux,
    wire: Wire,
    *,
    hint: str = "viewer",
    gcm: bool = True,
    role: str = "client",
    recorder: Recorder | None = None,
) -> tuple[Client, Peer, Recorder]:
    """A client that is connected over `wire`."""
    recorder = recorder or Recorder()
    peer = mux.open(recorder, role_hint=hint)  # type: ignore[arg-type]
    client = Client(wire, gcm=gcm, role=role)
    peer.accept(
        client.ufrag, client.pwd, client.fingerprint, "server" if role == "client" else "client"
    )
    await client.connect(peer)
    await recorder.until(lambda r: "connected" in r.calls)
    return client, peer, recorder
