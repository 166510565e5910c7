"""What a fan-out viewer's far end sees: sockets, keys, and packets that libsrtp accepted.

with Kernel(shards=1) as kernel, far_end() as far:
    viewer = far.join(kernel)
    viewer.attach("video", stream)
    packets = far.take(10)
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pylibsrtp import Policy, Session

from hotpath.fanout.kernel import Frame, Kernel, RtpTrack, Stream, Viewer, ViewerLimits
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile

GCM = SrtpProfile.AEAD_AES_128_GCM
CM = SrtpProfile.AES128_CM_SHA1_80
_LIBSRTP = {GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM, CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80}

VIDEO = RtpTrack(
    kind="video",
    clock_hz=90_000,
    payload_type=96,
    ssrc=0x11223344,
    first_sequence=65_530,
    timestamp_offset=0xFFFFF000,
    rtx_payload_type=97,
    rtx_ssrc=0x55667788,
    rtx_first_sequence=65_535,
    capture_time_id=3,
)
AUDIO = RtpTrack("audio", 48_000, 111, 0x99AABBCC, 100, 5000, None, 0, 0)
SO_TIMESTAMPNS = 35
WALL_NS = 1_800_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extension: bytes
    payload: bytes
    at_ns: int
    """When it arrived on the socket, Unix ns; 0: not known."""


def parse(data: bytes, at_ns: int = 0) -> Packet:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    offset, extension = 12, b""
    if first & 0x10:
        words = struct.unpack_from("!HH", data, 12)[1]
        offset = 16 + 4 * words
        extension = data[12:offset]
    return Packet(
        second & 0x7F, second > 127, sequence, timestamp, ssrc, extension, data[offset:], at_ns
    )


class FarEnd:
    """Receives on its own socket what the kernel sends on `out`."""

    def __init__(
        self,
        ours: socket.socket,
        theirs: socket.socket,
        *,
        shared: bool,
        profile: SrtpProfile = GCM,
    ) -> None:
        self.socket = theirs
        self.out = ours
        self._shared = shared
        self.keys = SrtpKeys(
            profile,
            os.urandom(16),
            os.urandom(profile.salt_length),
            bytes(16),
            bytes(profile.salt_length),
        )
        policy = Policy(
            key=self.keys.local_key + self.keys.local_salt,
            ssrc_type=Policy.SSRC_ANY_INBOUND,
            srtp_profile=_LIBSRTP[profile],
        )
        policy.window_size = 1024
        self._session = Session(policy)
        self.rtcp: list[bytes] = []
        self.packets: list[Packet] = []

    @property
    def path(self) -> Path:
        address = self.socket.getsockname()[:2] if self._shared else None
        return Path(self.out.fileno(), address)

    def join(self, kernel: Kernel, *tracks: RtpTrack, limits: ViewerLimits | None = None) -> Viewer:
        """The viewer lives as long as this object, also when nobody else keeps it."""
        self._viewer = kernel.add_viewer(
            self.keys, self.path, tracks or (VIDEO, AUDIO), cname="livepath", limits=limits
        )
        return self._viewer

    def receive(self, timeout_s: float = 5.0) -> Packet | None:
        """The next RTP packet; None: none came in time. RTCP goes to `rtcp`."""
        end = time.monotonic() + timeout_s
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data, extra, _, _ = self.socket.recvmsg(2048, 64)
            except TimeoutError:
                return None
            at_ns = 0
            if extra:  # when it arrived, not when this process got round to reading it
                seconds, rest = struct.unpack("qq", extra[0][2])
                at_ns = seconds * 1_000_000_000 + rest
            if 192 <= data[1] <= 223:
                self.rtcp.append(self._session.unprotect_rtcp(data))
            else:
                packet = parse(self._session.unprotect(data), at_ns)
                self.packets.append(packet)
                return packet

    def take(self, count: int, timeout_s: float = 5.0) -> list[Packet]:
        packets = []
        for _ in range(count):
            packet = self.receive(timeout_s)
            assert packet is not None, f"{len(packets)} of {count} packets came"
            packets.append(packet)
        return packets

    def rest(self, quiet_s: float = 0.15) -> list[Packet]:
        """What comes until nothing has come for a while."""
        packets = []
        while (packet := self.receive(quiet_s)) is not None:
            packets.append(packet)
        return packets

    def take_rtcp(self, accept: Callable[[bytes], bool], timeout_s: float = 5.0) -> bytes:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for plain in self.rtcp:
                if accept(plain):
                    return plain
            self.receive(0.02)
        raise AssertionError("the RTCP packet did not come")


@contextmanager
def far_end(profile: SrtpProfile = GCM, out: socket.socket | None = None) -> Iterator[FarEnd]:
    """A viewer by UDP on 127.0.0.1; `out`: the socket that several share."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        theirs.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if out is not None:
            yield FarEnd(out, theirs, shared=True, profile=profile)
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            yield FarEnd(ours, theirs, shared=True, profile=profile)


@contextmanager
def narrow_end() -> Iterator[FarEnd]:
    """A viewer behind a pair as the transport's for ICE-TCP, which holds only a few packets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        yield FarEnd(ours, theirs, shared=False)


def frame(
    number: int, packets: int = 3, *, key: bool | None = None, size: int = 1000, last: int = 400
) -> Frame:
    """Frame `number` of 30 a second; every payload says which one it is."""
    payloads = [
        struct.pack("!IH", number, i).ljust(
            size if i < packets - 1 else last, b"%c" % (65 + i % 26)
        )
        for i in range(packets)
    ]
    return Frame(
        timestamp=3000 * number,
        keyframe=number == 0 if key is None else key,
        payloads=payloads,
        wall_ns=WALL_NS + number * 1_000_000_000 // 30,
    )


def sound(number: int) -> Frame:
    return Frame(960 * number, True, [struct.pack("!I", number)], WALL_NS + number * 20_000_000)


def push(stream: Stream, frame: Frame, *, deadline_ms: int = 30_000) -> None:
    """With time enough that nothing is dropped because this machine is busy."""
    stream.push(frame, deadline_ms=deadline_ms)


def place(packet: Packet) -> tuple[int, int]:
    """Frame and packet that the payload says it is."""
    number, index = struct.unpack_from("!IH", packet.payload)
    return number, index


def without_rtx(track: RtpTrack) -> RtpTrack:
    return replace(track, rtx_payload_type=None, rtx_ssrc=0)


def obeyed(kernel: Kernel) -> None:
    """Until every command given so far has been carried out."""
    wait_until(lambda: kernel.totals().queued == 0)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)
