"""RTP packets in order to access units and their formats: H.264 and Opus.

Invariant: any payloads give units, never an exception, and no unit leaves before the `Format` that
describes it; after a loss every video unit is marked damaged up to the next whole keyframe. An
access unit ends at its marker; where a publisher's markers prove wrong, at the next timestamp.

Upstream: `hotpath.ingest.jitter`. Downstream: `hotpath.ingest.whip_publisher` and behind it the
programme. Pure. Spec: RFC 6184 5 (STAP-B, MTAP and FU-B belong to packetization-mode 2, which no
answer of ours agrees to: they count as damage), RFC 7587 4.2, abs-capture-time.
"""

from dataclasses import replace

from hotpath.ingest.jitter import Arrival
from hotpath.ingest.rtp_clock import TrackClock
from hotpath.media import h264, opus
from hotpath.media.access_units import TrackFacts, VideoAssembler
from hotpath.media.annexb import START
from hotpath.media.clock import CLOCK, Unwrapper
from hotpath.media.pes import Pes
from hotpath.media.psi import StreamEntry
from hotpath.media.unit import AUDIO, Codec, Format, Unit
from hotpath.webrtc.rtp import NS, RtpPacket, extension_of, unix_ns_of

MAX_FRAME = 8 * 1024 * 1024
MAX_NALS = 2048
"""More than the slices of any H.264 level: a unit of crumbs would cost far more than its bytes."""
_STAP_A, _FU_A = 24, 28
_DROPPED = frozenset({h264.AUD, h264.FILLER})
_INTERPOLATED = 5 * CLOCK


class CaptureClock:
    """abs-capture-time: it comes with few packets and is counted on between them."""

    def __init__(self, extension_id: int) -> None:
        self._id = extension_id
        self._known: tuple[int, int] | None = None

    def find(self, packet: RtpPacket) -> int | None:
        """Unix ns by the capturing system's clock, corrected to the sender's."""
        if not self._id or not packet.extension_profile:
            return None
        value = extension_of(packet, self._id)
        if value is None or len(value) < 8:
            return None
        ntp = int.from_bytes(value[:8], "big")
        if len(value) >= 16:
            ntp += int.from_bytes(value[8:16], "big", signed=True)
        return unix_ns_of(ntp)

    def at(self, ticks: int, found: int | None) -> int | None:
        """Capture time of what stands at `ticks`, itself carrying `found`."""
        if found is not None:
            self._known = ticks, found
        if self._known is None or abs(ticks - self._known[0]) > _INTERPOLATED:
            return None
        return self._known[1] + (ticks - self._known[0]) * NS // CLOCK


class _Frame:
    """The access unit that is being put together."""

    def __init__(self, timestamp: int, damaged: bool, ignored: bool) -> None:
        self.timestamp = timestamp
        self.damaged = damaged
        self.ignored = ignored
        """It is the rest of a unit that has left."""
        self.capture_ns: int | None = None
        self.nals: list[bytes] = []
        self._size = 0
        self._fragments: list[bytes] = []

    def add(self, payload: bytes) -> None:
        kind = payload[0] & 31
        self._size += len(payload)
        if self._size > MAX_FRAME:
            self.damaged = True
        elif kind == _FU_A:
            self._fragment(payload)
        elif kind == _STAP_A:
            self._broken_off()
            self._aggregate(payload)
        elif 0 < kind < _STAP_A:
            self._broken_off()
            self._take(payload)
        else:
            self.damaged = True

    def finish(self) -> bytes:
        """Annex B, without delimiters; empty where nothing of use came."""
        self._broken_off()
        return b"".join([part for nal in self.nals for part in (START, nal)])

    def _take(self, nal: bytes) -> None:
        if len(self.nals) >= MAX_NALS:
            self.damaged = True
        elif nal[0] & 31 not in _DROPPED:
            self.nals.append(nal)

    def _aggregate(self, payload: bytes) -> None:
        """RFC 6184 5.7.1."""
        at, size = 1, len(payload)
        while at + 2 < size:
            begin = at + 2
            at = begin + (payload[at] << 8 | payload[at + 1])
            if at > size:
                self.damaged = True
                return
            if at > begin:
                self._take(payload[begin:at])
        self.damaged |= at != size

    def _fragment(self, payload: bytes) -> None:
        """RFC 6184 5.8."""
        if len(payload) < 3:
            self.damaged = True
            return
        head = payload[1]
        if head & 0x80:
            self._broken_off()
            self._fragments.append(bytes((payload[0] & 0xE0 | head & 0x1F,)))
        elif not self._fragments:
            self.damaged = True  # its start is missing
            return
        self._fragments.append(payload[2:])
        if head & 0x40:
            self._take(b"".join(self._fragments))
            self._fragments.clear()

    def _broken_off(self) -> None:
        if self._fragments:
            self.damaged = True
            self._fragments.clear()


class VideoDepacketizer:
    """H.264 of one SSRC."""

    def __init__(self, clock: TrackClock, *, capture_time_id: int = 0) -> None:
        self._clock = clock
        self._capture = CaptureClock(capture_time_id)
        self._assembler = VideoAssembler(StreamEntry(0, 0x1B), Codec.H264, Unwrapper())
        self._frame: _Frame | None = None
        self._finished: int | None = None
        """Timestamp of the newest unit that has left."""
        self._gap = False
        """Packets are missing before the next one."""
        self._markers_hold = True
        self._sets_in_band = False
        """Keyframes start with their parameter sets."""
        self._last_dts: int | None = None
        self._newest: Arrival | None = None

    @property
    def facts(self) -> TrackFacts:
        return self._assembler.facts

    @property
    def format(self) -> Format | None:
        return self._assembler.format

    def lost(self) -> None:
        """Packets before the next one never came."""
        self._gap = True
        self._assembler.torn()
        if self._frame is not None:
            self._frame.damaged = True

    def receive(self, arrival: Arrival, demuxed_ns: int) -> list[Unit]:
        """The units that are now whole; `format` describes them all."""
        packet = arrival.packet
        if not packet.payload:
            return []  # padding, with the timestamp of the last frame
        units: list[Unit] = []
        if self._frame is not None and packet.timestamp != self._frame.timestamp:
            units = self._finish(demuxed_ns)
        if self._frame is None:
            self._frame = self._begin(packet)
        self._gap = False
        self._newest = arrival
        frame = self._frame
        found = self._capture.find(packet)
        frame.capture_ns = frame.capture_ns if found is None else found
        frame.add(packet.payload)
        if packet.marker and self._markers_hold:
            units += self._finish(demuxed_ns)
        return units

    def flush(self, demuxed_ns: int) -> list[Unit]:
        """What was held back."""
        return [*self._finish(demuxed_ns), *self._assembler.flush()]

    def _begin(self, packet: RtpPacket) -> _Frame:
        rest = packet.timestamp == self._finished
        if rest:
            self._markers_hold = False
            self._assembler.torn()
        headless = self._gap and not _begins_unit(packet.payload, self._sets_in_band)
        return _Frame(packet.timestamp, headless, rest)

    def _finish(self, demuxed_ns: int) -> list[Unit]:
        frame, newest = self._frame, self._newest
        self._frame = None
        if frame is None or newest is None:
            return []
        self._finished = frame.timestamp
        data = frame.finish()
        if frame.ignored or not data:
            return []
        if {h264.SPS, h264.IDR} <= {nal[0] & 31 for nal in frame.nals}:
            self._sets_in_band = True
        pts = self._clock.ticks(frame.timestamp, newest.now)
        # Decode times rise; a picture that is shown earlier has B-frames to blame.
        dts = pts if self._last_dts is None else max(pts, self._last_dts + 1)
        self._last_dts = dts
        capture_ns = self._capture.at(pts, frame.capture_ns)
        pes = Pes(0, pts, dts, data, frame.damaged, newest.received_ns)
        units = self._assembler.receive(pes, demuxed_ns)
        if capture_ns is None:
            return units
        # The first units wait for each other, so the newest is the last of them.
        return [replace(u, capture_ns=capture_ns) if u.dts == dts else u for u in units]


def _begins_unit(payload: bytes, sets_in_band: bool) -> bool:
    """After a gap: nothing of this access unit's keyframe stood before the payload."""
    kind = payload[0] & 31
    head = payload[1:3]
    if kind == _STAP_A and len(payload) > 4:
        kind, head = payload[3] & 31, payload[4:5]
    elif kind == _FU_A and len(payload) > 2 and payload[1] & 0x80:
        kind, head = payload[1] & 31, payload[2:3]
    if kind in (h264.AUD, h264.SPS):
        return True
    if sets_in_band:
        return False
    # first_mb_in_slice is ue(v): 0 is a single 1 bit.
    return kind == h264.SEI or (kind in (h264.SLICE, h264.IDR) and head[:1] >= b"\x80")


class OpusDepacketizer:
    """Opus of one SSRC: each packet is a unit."""

    def __init__(self, clock: TrackClock, *, channels: int = 2, capture_time_id: int = 0) -> None:
        self.facts = TrackFacts()
        self.format: Format | None = None
        self._clock = clock
        self._channels = channels
        self._capture = CaptureClock(capture_time_id)

    def lost(self) -> None:
        """Nothing spans packets: the gap in time says it."""

    def receive(self, arrival: Arrival, demuxed_ns: int) -> list[Unit]:
        packet = arrival.packet
        if not packet.payload:
            return []
        samples = opus.packet_samples(packet.payload)
        if not samples:
            self.facts.dropped += 1
            return []
        if self.format is None:
            self.format = self._describe(samples)
        pts = self._clock.ticks(packet.timestamp, arrival.now)
        capture_ns = self._capture.at(pts, self._capture.find(packet))
        unit = Unit(
            AUDIO, pts, pts, True, packet.payload, arrival.received_ns, demuxed_ns, capture_ns
        )
        self.facts.add(unit)
        return [unit]

    def flush(self, demuxed_ns: int) -> list[Unit]:
        """Nothing is held back."""
        return []

    def _describe(self, samples: int) -> Format:
        return Format(
            AUDIO,
            Codec.OPUS,
            opus.SAMPLE_RATE,
            opus.opus_head(self._channels),
            "opus",
            sample_rate=opus.SAMPLE_RATE,
            channels=self._channels,
            frame_duration=samples,
        )
