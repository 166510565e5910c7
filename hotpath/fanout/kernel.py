"""The fan-out kernel: frames in once, protected RTP out to every viewer, by threads of its own.

Invariant: nothing here waits for a viewer or a socket; what concerns a viewer is a command to the
shard (a C thread) that owns it, and commands of one viewer are obeyed in order. Any thread may
call. See `kernel.h` for the threads' own rules. Upstream: `feed` pushes frames, `viewer` commands.
Downstream: the mux's sockets. Spec: RFC 3711, 7714, 4588, 3550; docs/adr/0007-fanout-kernel.md.
"""

import errno
import ipaddress
import os
import socket
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from hotpath.fanout._kernel import ffi, lib
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys
from infra.errors import LivepathError

MAX_PAYLOAD = int(lib.LP_PAYLOAD_MAX)
MAX_PACKETS = int(lib.LP_PACKETS_MAX)
MAX_RTCP = int(lib.LP_RTCP_MAX)
DELAY_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

Kind = Literal["video", "audio"]
_START = {"keyframe": lib.LP_START_KEYFRAME, "live": lib.LP_START_LIVE}
_CRYPTO = {"auto": lib.LP_CRYPTO_AUTO, "evp": lib.LP_CRYPTO_EVP, "none": lib.LP_CRYPTO_NONE}
_UNKNOWN = -(1 << 63)


class KernelError(LivepathError):
    """The fan-out kernel cannot do what was asked."""


@dataclass(frozen=True, slots=True)
class RtpTrack:
    """One sending track of one viewer. Sequence numbers and offset: random, per viewer."""

    kind: Kind
    clock_hz: int
    payload_type: int
    ssrc: int
    first_sequence: int
    timestamp_offset: int
    rtx_payload_type: int | None
    """None: NACKs are not answered."""
    rtx_ssrc: int
    rtx_first_sequence: int
    capture_time_id: int = 0
    """RFC 8285 one-byte id of abs-capture-time; 0: not negotiated."""


@dataclass(frozen=True, slots=True)
class Frame:
    timestamp: int
    """RTP clock ticks on the programme timeline; the kernel adds each viewer's offset."""
    keyframe: bool
    """Audio: True."""
    payloads: Sequence[bytes]
    """RTP payloads. Best for GSO: equal sizes, only the last one smaller."""
    wall_ns: int
    """The programme's wall clock at `timestamp`, Unix ns: what sender reports tell."""
    capture_ns: int | None = None
    """When it was captured, Unix ns, if known."""


@dataclass(frozen=True, slots=True)
class ViewerLimits:
    rtx_burst_bytes: int = 64 * 1024
    rtx_bytes_per_second: int | None = None
    """None: half of the stream's rate, at least 1 Mbit/s."""


@dataclass(frozen=True, slots=True)
class Delay:
    """From push to socket, over frames sent live to viewers, since the stream began."""

    count: int
    sum_ns: int
    max_ns: int
    buckets: tuple[int, ...]
    """Frames no later than `DELAY_BOUNDS_MS` and later than the bound before."""


@dataclass(frozen=True, slots=True)
class ViewerStats:
    packets: int
    """RTP, RTX included."""
    bytes: int
    frames: int
    rtx: int
    rtx_bytes: int
    rtx_refused: int
    frames_dropped: int
    sender_reports: int
    errors: int
    last_errno: int
    gso: bool
    waiting: bool
    """Its socket is full and a frame waits."""
    lag_ms: int
    """For how long it has waited."""
    stream: int | None
    """`Stream.id` of the video whose picture was sent last."""


@dataclass(frozen=True, slots=True)
class KernelTotals:
    viewers: int
    packets: int
    bytes: int
    frames: int
    rtx: int
    rtx_bytes: int
    rtx_refused: int
    frames_dropped: int
    gso_off: int
    sr: int
    blocked: int
    """Times that a socket was full."""
    syscalls: int
    queued: int
    """Commands given and not yet obeyed."""
    refused_commands: int
    errors: Mapping[str, int]
    """By name of the errno."""
    cpu_ns: tuple[int, ...]
    """CPU time of each shard's thread."""


class Stream:
    """The plaintext frames of one rendition or track. Made by `Kernel.stream`."""

    def __init__(
        self, kernel: "Kernel", clock_hz: int, video: bool, bounds: tuple[int, int]
    ) -> None:
        handle = lib.lp_stream_new(kernel.handle, clock_hz, video, *bounds)
        if handle == ffi.NULL:
            raise MemoryError
        self.handle: Any = ffi.gc(handle, lib.lp_stream_release)
        self.kernel = kernel
        self.clock_hz = clock_hz
        self.video = video
        self.closed = False
        self.id = int(self._stats()[0].id)

    def push(self, frame: Frame, *, deadline_ms: int = 250) -> None:
        """Copy a frame and wake the shards with viewers. `deadline_ms`: how long after now it is
        worth sending; a viewer whose socket does not take it by then goes on at a keyframe."""
        sizes = _sizes(frame.payloads)
        if deadline_ms <= 0:
            raise ValueError("the deadline is a number of milliseconds above 0")
        capture_ns = _UNKNOWN if frame.capture_ns is None else frame.capture_ns
        result = lib.lp_stream_push(
            self.handle,
            b"".join(frame.payloads),
            ffi.from_buffer("uint16_t[]", sizes),
            len(sizes),
            _signed(frame.timestamp),
            frame.keyframe,
            frame.wall_ns,
            capture_ns,
            deadline_ms * 1_000_000,
        )
        if result < 0:
            raise MemoryError
        if result > 0:
            raise KernelError(f"stream {self.id} is closed; open another one to push to")

    def close(self) -> None:
        """No more frames; viewers that read it get nothing until they are attached elsewhere."""
        if not self.closed:
            self.closed = True
            lib.lp_stream_close(self.handle)

    @property
    def has_keyframe(self) -> bool:
        return bool(self._stats()[0].has_keyframe)

    @property
    def newest_timestamp(self) -> int | None:
        newest = int(self._stats()[0].newest_timestamp)
        return None if newest == _UNKNOWN else newest

    @property
    def bytes(self) -> int:
        """Payload bytes that the ring holds."""
        return int(self._stats()[0].bytes)

    @property
    def frames(self) -> int:
        return int(self._stats()[0].frames)

    @property
    def delay(self) -> Delay:
        delay = self._stats()[1]
        return Delay(delay.count, delay.sum_ns, delay.max_ns, tuple(delay.buckets))

    def _stats(self) -> tuple[Any, Any]:
        stats, delay = ffi.new("lp_stream_stats *"), ffi.new("lp_delay *")
        lib.lp_stream_stats_of(self.handle, stats, delay)
        return stats, delay


class Viewer:
    """Commands to the shard that owns the viewer; each returns at once. Made by `add_viewer`.

    A viewer that nobody keeps is closed.
    """

    def __init__(self, kernel: "Kernel", handle: Any, kinds: Mapping[Kind, RtpTrack]) -> None:
        self._kernel = kernel
        self._handle = ffi.gc(handle, lib.lp_viewer_release)
        self._kinds = kinds
        self._video: Stream | None = None
        self.closed = False

    def attach(
        self, kind: Kind, stream: Stream, *, start: Literal["keyframe", "live"] = "keyframe"
    ) -> None:
        """Begin now with the ring's current GOP, or (`live`, and always for audio) with the next
        keyframe that comes. Replaces what the track reads."""
        self._expect(kind, stream)
        if kind == "video":
            self._video = stream
        lib.lp_viewer_attach(self._handle, kind == "video", stream.handle, _START[start])

    def switch(self, stream: Stream) -> None:
        """Go over to another rendition at its next keyframe."""
        self._expect("video", stream)
        self._video = stream
        lib.lp_viewer_switch(self._handle, stream.handle)

    def detach(self, kind: Kind) -> None:
        if kind == "video":
            self._video = None
        lib.lp_viewer_detach(self._handle, kind == "video")

    def resend_keyframe(self) -> bool:
        """Send the current GOP again; False when the ring holds no keyframe."""
        if self.closed or self._video is None or not self._video.has_keyframe:
            return False
        return bool(lib.lp_viewer_resend(self._handle) == 0)

    def nack(self, ssrc: int, sequences: Sequence[int]) -> None:
        """Send what was lost again as RTX; what is unknown, too old or over the limit is not."""
        if sequences and not self.closed:
            lost = array("H", sequences)
            lib.lp_viewer_nack(self._handle, ssrc, ffi.from_buffer("uint16_t[]", lost), len(lost))

    def set_path(self, path: Path) -> None:
        """Everything from here on goes there; GSO is tried anew."""
        if not self.closed and lib.lp_viewer_path(self._handle, _path(path)) < 0:
            _raise_errno(f"the path {path} cannot be sent on")

    def send_rtcp(self, plain: bytes) -> None:
        """Protect a compound packet and send it."""
        if not 8 <= len(plain) <= MAX_RTCP or len(plain) % 4 or plain[0] >> 6 != 2:
            raise ValueError(f"{len(plain)} bytes are no RTCP packet of 8 to {MAX_RTCP} bytes")
        if not self.closed:
            lib.lp_viewer_rtcp(self._handle, plain, len(plain))

    def round_trip_ns(self, ssrc: int, lsr: int, dlsr: int) -> int | None:
        """From a receiver report that came just now; None when its LSR is none of the last two."""
        trip = int(lib.lp_viewer_round_trip(self._handle, ssrc, lsr, dlsr))
        return None if trip < 0 else trip

    def stats(self) -> ViewerStats:
        stats = ffi.new("lp_viewer_stats *")
        lib.lp_viewer_stats_of(self._handle, stats)
        waited = lib.lp_now_ns() - stats.behind_ns if stats.behind_ns else 0
        return ViewerStats(
            packets=stats.packets,
            bytes=stats.bytes,
            frames=stats.frames,
            rtx=stats.rtx,
            rtx_bytes=stats.rtx_bytes,
            rtx_refused=stats.rtx_refused,
            frames_dropped=stats.frames_dropped,
            sender_reports=stats.sr,
            errors=stats.errors,
            last_errno=stats.last_errno,
            gso=bool(stats.gso),
            waiting=stats.behind_ns != 0,
            lag_ms=max(waited, 0) // 1_000_000,
            stream=stats.stream or None,
        )

    def close(self, *, bye: bool = True) -> None:
        """Idempotent. Nothing is sent any more but, if wanted, a BYE."""
        if not self.closed:
            self.closed = True
            self._video = None
            lib.lp_viewer_close(self._handle, bye)

    def _expect(self, kind: Kind, stream: Stream) -> None:
        track = self._kinds.get(kind)
        if track is None:
            raise KernelError(f"the viewer has no {kind} track; give `add_viewer` one")
        if stream.kernel is not self._kernel:
            raise KernelError(f"stream {stream.id} is another kernel's")
        if stream.video != (kind == "video") or stream.clock_hz != track.clock_hz:
            raise KernelError(
                f"stream {stream.id} does not fit a track of {kind} at {track.clock_hz} Hz"
            )


class Kernel:
    """Owns the shards. `shards`: threads, one for each core unless said otherwise."""

    def __init__(
        self, *, shards: int | None = None, crypto: Literal["auto", "evp", "none"] = "auto"
    ) -> None:
        """`crypto`: `evp` leaves intel-ipsec-mb out; `none` protects nothing, and exists so that
        `benchmarks/fanout.py` can measure the floor. Packets have the same sizes in all."""
        shards = len(os.sched_getaffinity(0)) if shards is None else shards
        if not 0 < shards <= lib.LP_SHARDS_MAX:
            raise ValueError(f"a kernel has 1 to {lib.LP_SHARDS_MAX} shards, not {shards}")
        handle = lib.lp_kernel_new(shards, _CRYPTO[crypto])
        if handle == ffi.NULL:
            _raise_errno("the fan-out threads cannot be started")
        self.handle: Any = ffi.gc(handle, lib.lp_kernel_release)
        self.shards = shards
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def accelerated(self) -> bool:
        """Whether GCM is intel-ipsec-mb's."""
        return bool(lib.lp_kernel_accelerated(self.handle))

    def close(self) -> None:
        """Viewers get a BYE and the threads end. Streams and viewers may outlive it, unused."""
        if not self.closed:
            self.closed = True
            lib.lp_kernel_close(self.handle)

    def stream(
        self,
        clock_hz: int,
        *,
        video: bool,
        max_bytes: int = 16 * 1024 * 1024,
        max_frames: int = 2047,
    ) -> Stream:
        """A ring that holds the current GOP (if that fits the bounds) and two seconds for RTX."""
        self._expect_open()
        if not (0 < clock_hz < 1 << 31 and max_bytes > 0 and 0 < max_frames < 1 << 20):
            raise ValueError(
                f"clock {clock_hz} Hz, {max_bytes} bytes, {max_frames} frames: not a ring's bounds"
            )
        return Stream(self, clock_hz, video, (max_bytes, max_frames))

    def add_viewer(
        self,
        keys: SrtpKeys,
        path: Path,
        tracks: Sequence[RtpTrack],
        *,
        cname: str,
        limits: ViewerLimits | None = None,
    ) -> Viewer:
        """`path.fd` is duplicated: it may be closed at any time."""
        self._expect_open()
        kinds: dict[Kind, RtpTrack] = {track.kind: track for track in tracks}
        if not tracks or len(kinds) != len(tracks):
            raise KernelError("a viewer has one video track, one audio track, or both")
        specs = ffi.new("lp_track_spec[]", [_track(track) for track in tracks])
        spec = _viewer_spec(keys, cname, limits or ViewerLimits())
        handle = lib.lp_viewer_new(self.handle, spec, _path(path), specs, len(tracks))
        if handle == ffi.NULL:
            _raise_errno(f"a viewer on {path} cannot be added")
        return Viewer(self, handle, kinds)

    def totals(self) -> KernelTotals:
        stats = [ffi.new("lp_shard_stats *") for _ in range(self.shards)]
        for number, one in enumerate(stats):
            lib.lp_shard_stats_of(self.handle, number, one)
        total: Callable[[str], int] = lambda name: sum(getattr(one, name) for one in stats)  # noqa: E731
        errors = {
            errno.errorcode.get(code, str(code)): count
            for code in range(lib.LP_ERRNOS)
            if (count := sum(one.errors[code] for one in stats))
        }
        return KernelTotals(
            viewers=total("viewers"),
            packets=total("packets"),
            bytes=total("bytes"),
            frames=total("frames"),
            rtx=total("rtx"),
            rtx_bytes=total("rtx_bytes"),
            rtx_refused=total("rtx_refused"),
            frames_dropped=total("frames_dropped"),
            gso_off=total("gso_off"),
            sr=total("sr"),
            blocked=total("blocked"),
            syscalls=total("syscalls"),
            queued=total("queued"),
            refused_commands=total("refused_commands"),
            errors=errors,
            cpu_ns=tuple(one.cpu_ns for one in stats),
        )

    def _expect_open(self) -> None:
        if self.closed:
            raise KernelError("the kernel is closed")


# -- what crosses the border ---------------------------------------------------------------------


def _sizes(payloads: Sequence[bytes]) -> "array[int]":
    if not 0 < len(payloads) <= MAX_PACKETS:
        raise ValueError(f"a frame has 1 to {MAX_PACKETS} payloads, not {len(payloads)}")
    sizes = list(map(len, payloads))
    if max(sizes) > MAX_PAYLOAD or min(sizes) == 0:
        wrong = max(sizes) if max(sizes) > MAX_PAYLOAD else 0
        raise ValueError(f"a payload has 1 to {MAX_PAYLOAD} bytes, not {wrong}")
    return array("H", sizes)


def _signed(value: int) -> int:
    """Programme ticks fit 63 bits for ever; a wild value must not make a wild one in C."""
    if not -(1 << 61) < value < 1 << 61:
        raise ValueError(f"timestamp {value} is no tick of a programme")
    return value


def _raise_errno(message: str) -> None:
    code = ffi.errno
    raise KernelError(f"{message}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")


def _within(name: str, value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name} {value} does not fit {bits} bits")
    return value


def _track(track: RtpTrack) -> dict[str, int]:
    return {
        "video": track.kind == "video",
        "clock_hz": _within("clock_hz", track.clock_hz, 31),
        "ssrc": _within("ssrc", track.ssrc, 32),
        "timestamp_offset": _within("timestamp_offset", track.timestamp_offset, 32),
        "rtx_ssrc": _within("rtx_ssrc", track.rtx_ssrc, 32),
        "first_sequence": _within("first_sequence", track.first_sequence, 16),
        "rtx_first_sequence": _within("rtx_first_sequence", track.rtx_first_sequence, 16),
        "payload_type": _within("payload_type", track.payload_type, 7),
        "rtx_payload_type": _within("rtx_payload_type", track.rtx_payload_type or 0, 7),
        # 15 is reserved in the one-byte form (RFC 8285 4.2).
        "capture_id": track.capture_time_id if 0 <= track.capture_time_id < 15 else 0,
    }


def _viewer_spec(keys: SrtpKeys, cname: str, limits: ViewerLimits) -> Any:
    name = cname.encode()
    if not 0 < len(name) <= lib.LP_CNAME_MAX:
        raise ValueError(f"a CNAME has 1 to {lib.LP_CNAME_MAX} bytes, not {len(name)}")
    if len(keys.local_key) != 16 or len(keys.local_salt) != keys.profile.salt_length:
        raise ValueError(f"the keys do not fit the profile {keys.profile.name}")
    return ffi.new(
        "lp_viewer_spec *",
        {
            "profile": keys.profile.value[0],
            "key": keys.local_key,
            "salt": keys.local_salt,
            "rtx_burst": limits.rtx_burst_bytes,
            "rtx_rate": limits.rtx_bytes_per_second or 0,
            "cname": name,
        },
    )


def _path(path: Path) -> Any:
    spec = ffi.new("lp_path_spec *", {"fd": path.fd, "family": 0})
    if path.address is not None:
        host, port = path.address
        address = ipaddress.ip_address(host)
        spec.family = address.version
        spec.port = port
        ffi.memmove(spec.address, address.packed, len(address.packed))
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
            zone = address.scope_id
            spec.scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return spec
