"""What crosses the border to the kernel's C: tracks, frames, keys and paths, checked and converted.

Wrong sizes and values are refused here, with words; C takes them as they are. Upstream and
downstream: `kernel`.
"""

import errno
import ipaddress
import os
import socket
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hotpath.fanout._kernel import ffi, lib
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys
from infra.errors import LivepathError

MAX_PAYLOAD = int(lib.LP_PAYLOAD_MAX)
MAX_PACKETS = int(lib.LP_PACKETS_MAX)
UNKNOWN = -(1 << 63)

Kind = Literal["video", "audio"]


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


def payload_sizes(payloads: Sequence[bytes]) -> "array[int]":
    if not 0 < len(payloads) <= MAX_PACKETS:
        raise ValueError(f"a frame has 1 to {MAX_PACKETS} payloads, not {len(payloads)}")
    sizes = list(map(len, payloads))
    if max(sizes) > MAX_PAYLOAD or min(sizes) == 0:
        wrong = max(sizes) if max(sizes) > MAX_PAYLOAD else 0
        raise ValueError(f"a payload has 1 to {MAX_PAYLOAD} bytes, not {wrong}")
    return array("H", sizes)


def signed(value: int) -> int:
    """Programme ticks fit 63 bits for ever; a wild value must not make a wild one in C."""
    if not -(1 << 61) < value < 1 << 61:
        raise ValueError(f"timestamp {value} is no tick of a programme")
    return value


def raise_errno(message: str) -> None:
    code = ffi.errno
    raise KernelError(f"{message}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")


def _within(name: str, value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name} {value} does not fit {bits} bits")
    return value


def track_spec(track: RtpTrack) -> dict[str, int]:
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


def viewer_spec(keys: SrtpKeys, cname: str, limits: ViewerLimits) -> Any:
    name = cname.encode()
    if not 0 < len(name) <= lib.LP_CNAME_MAX:
        raise ValueError(f"a CNAME has 1 to {lib.LP_CNAME_MAX} bytes, not {len(name)}")
    if len(keys.local_key) != 16 or len(keys.local_salt) != keys.profile.salt_length:
        raise ValueError(f"the keys do not fit the profile {keys.profile.name}")
    if len(keys.remote_key) != 16 or len(keys.remote_salt) != keys.profile.salt_length:
        raise ValueError(f"the peer's keys do not fit the profile {keys.profile.name}")
    return ffi.new(
        "lp_viewer_spec *",
        {
            "profile": keys.profile.value[0],
            "key": keys.local_key,
            "salt": keys.local_salt,
            "remote_key": keys.remote_key,
            "remote_salt": keys.remote_salt,
            "rtx_burst": limits.rtx_burst_bytes,
            "rtx_rate": limits.rtx_bytes_per_second or 0,
            "cname": name,
        },
    )


def path_spec(path: Path) -> Any:
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
