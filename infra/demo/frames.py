"""From RTP packets of H.264 to coded frames, and the count of what was lost on the way.

Invariant: a frame is given out only when every packet of it came, in order, from the first slice to
the marker; after a gap nothing is given out until the next keyframe, so a decoder never sees a
reference that is missing. Pure. Upstream: `whep_client`. Downstream: `whep_viewing`.
Spec: RFC 3550, RFC 6184 (packetization mode 1).
"""

from dataclasses import dataclass, field

from aiortc.codecs.h264 import H264PayloadDescriptor

_IDR, _SPS = 5, 7
_FU_A, _STAP_A = 28, 24


@dataclass(frozen=True, slots=True)
class CodedFrame:
    data: bytes
    """Annex B."""
    timestamp: int
    keyframe: bool
    received_ns: int
    """Unix time at which its last packet came."""


@dataclass(slots=True)
class PacketCount:
    """Packets of one source by sequence number, which wraps at 16 bits."""

    received: int = 0
    _first: int | None = None
    _highest: int = 0

    def receive(self, sequence: int) -> int:
        """The extended sequence number of a packet that came."""
        if self._first is None:
            self._first = self._highest = sequence
        step = (sequence - self._highest + 0x8000) % 0x10000 - 0x8000
        extended = self._highest + step
        self._highest = max(self._highest, extended)
        self.received += 1
        return extended

    @property
    def lost(self) -> int:
        if self._first is None:
            return 0
        return max(0, self._highest - self._first + 1 - self.received)


@dataclass(slots=True)
class FrameAssembler:
    """One H.264 stream."""

    count: PacketCount = field(default_factory=PacketCount)
    unreadable: int = 0
    _expected: int | None = None
    _parts: list[bytes] = field(default_factory=list)
    _keyframe: bool = False
    _whole: bool = False
    """Every packet of the frame so far is there, from its first."""
    _waiting: bool = True
    """For a keyframe."""

    def receive(
        self, sequence: int, timestamp: int, payload: bytes, received_ns: int, *, marker: bool
    ) -> CodedFrame | None:
        """The frame that this packet completes, if it does."""
        extended = self.count.receive(sequence)
        if self._expected is not None and extended < self._expected:
            return None  # late or repeated; its frame was given up
        if extended != self._expected:
            # A gap, or the start: what comes may be the middle of a frame.
            self._parts, self._keyframe = [], False
            self._whole = _starts_keyframe(payload)
            self._waiting = True
        self._expected = extended + 1
        self._take(payload)
        if not marker:
            return None
        return self._finish(timestamp, received_ns)

    def _take(self, payload: bytes) -> None:
        try:
            _, data = H264PayloadDescriptor.parse(payload)
        except ValueError:
            self.unreadable += 1
            self._whole = False
            return
        self._parts.append(data)
        self._keyframe = self._keyframe or _has_idr(payload)

    def _finish(self, timestamp: int, received_ns: int) -> CodedFrame | None:
        data, keyframe, whole = b"".join(self._parts), self._keyframe, self._whole
        self._parts, self._keyframe, self._whole = [], False, True
        if not whole or (self._waiting and not keyframe):
            return None
        self._waiting = False
        return CodedFrame(data, timestamp, keyframe, received_ns)


def _types(payload: bytes) -> list[int]:
    """Types of the NAL units in a payload; of a fragment only when it is the first."""
    kind = payload[0] & 31
    if kind == _FU_A:
        return [payload[1] & 31] if len(payload) > 1 and payload[1] & 0x80 else []
    if kind != _STAP_A:
        return [kind]
    found, at = [], 1
    while at + 2 < len(payload):
        found.append(payload[at + 2] & 31)
        at += 2 + int.from_bytes(payload[at : at + 2], "big")
    return found


def _has_idr(payload: bytes) -> bool:
    return bool(payload) and _IDR in _types(payload)


def _starts_keyframe(payload: bytes) -> bool:
    # A slice of a keyframe may be its second; only parameter sets are certain to be its start.
    return bool(payload) and _SPS in _types(payload)
