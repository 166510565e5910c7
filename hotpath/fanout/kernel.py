"""The fan-out kernel: frames in once, protected RTP out to every viewer, by threads of its own.

Invariant: nothing here waits for a viewer or a socket; what concerns a viewer is a command to the
shard (a C thread) that owns it, and commands of one viewer are obeyed in order. Any thread may
call. See `kernel.h` for the threads' own rules. Upstream: `feed` pushes frames, `viewer` commands.
Downstream: the mux's sockets. Spec: RFC 3711, 7714, 4588, 3550; docs/adr/0007-fanout-kernel.md.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from hotpath.fanout._kernel import ffi, lib
from hotpath.fanout.intake import KernelIntake, ViewerReports
from hotpath.fanout.kernel_border import (
    MAX_PACKETS,
    MAX_PAYLOAD,
    UNKNOWN,
    Frame,
    KernelError,
    Kind,
    RtpTrack,
    ViewerLimits,
    path_spec,
    payload_sizes,
    raise_errno,
    signed,
    track_spec,
    viewer_spec,
)
from hotpath.fanout.kernel_figures import (
    DELAY_BOUNDS_MS,
    Delay,
    KernelTotals,
    ViewerStats,
    read_totals,
    read_viewer,
)
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys
from infra.cores import available_cores

__all__ = [
    "DELAY_BOUNDS_MS",
    "MAX_PACKETS",
    "MAX_PAYLOAD",
    "MAX_RTCP",
    "Delay",
    "Frame",
    "Kernel",
    "KernelError",
    "KernelTotals",
    "Kind",
    "RtpTrack",
    "Stream",
    "Viewer",
    "ViewerLimits",
    "ViewerStats",
]

MAX_RTCP = int(lib.LP_RTCP_MAX)
_START = {"keyframe": lib.LP_START_KEYFRAME, "live": lib.LP_START_LIVE}
_CRYPTO = {"auto": lib.LP_CRYPTO_AUTO, "evp": lib.LP_CRYPTO_EVP, "none": lib.LP_CRYPTO_NONE}


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
        sizes = payload_sizes(frame.payloads)
        if deadline_ms <= 0:
            raise ValueError("the deadline is a number of milliseconds above 0")
        capture_ns = UNKNOWN if frame.capture_ns is None else frame.capture_ns
        result = lib.lp_stream_push(
            self.handle,
            b"".join(frame.payloads),
            ffi.from_buffer("uint16_t[]", sizes),
            len(sizes),
            signed(frame.timestamp),
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
        return None if newest == UNKNOWN else newest

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
        self.reports = ViewerReports(self._handle)
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
        if not self.closed and lib.lp_viewer_path(self._handle, path_spec(path)) < 0:
            raise_errno(f"the path {path} cannot be sent on")

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
        return read_viewer(self._handle)

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
    """Owns the shards.

    `shards`: threads; unless said otherwise one for each core that this process may use.
    """

    def __init__(
        self, *, shards: int | None = None, crypto: Literal["auto", "evp", "none"] = "auto"
    ) -> None:
        """`crypto`: `evp` leaves intel-ipsec-mb out; `none` protects nothing, and exists so that
        `benchmarks/fanout.py` can measure the floor. Packets have the same sizes in all."""
        if shards is None:
            shards = min(math.ceil(available_cores()), int(lib.LP_SHARDS_MAX))
        if not 0 < shards <= lib.LP_SHARDS_MAX:
            raise ValueError(f"a kernel has 1 to {lib.LP_SHARDS_MAX} shards, not {shards}")
        handle = lib.lp_kernel_new(shards, _CRYPTO[crypto])
        if handle == ffi.NULL:
            raise_errno("the fan-out threads cannot be started")
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
        specs = ffi.new("lp_track_spec[]", [track_spec(track) for track in tracks])
        spec = viewer_spec(keys, cname, limits or ViewerLimits())
        handle = lib.lp_viewer_new(self.handle, spec, path_spec(path), specs, len(tracks))
        if handle == ffi.NULL:
            raise_errno(f"a viewer on {path} cannot be added")
        return Viewer(self, handle, kinds)

    def intake(self) -> KernelIntake:
        """What receives for the mux, so that viewers' reports are read by the kernel."""
        return KernelIntake(self.handle)

    def totals(self) -> KernelTotals:
        return read_totals(self.handle, self.shards)

    def _expect_open(self) -> None:
        if self.closed:
            raise KernelError("the kernel is closed")
