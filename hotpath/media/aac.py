"""AAC in ADTS: frames out of PES payloads, AudioSpecificConfig out of their headers.

Invariant: a frame is returned once, whole, wherever PES packets cut it; after damage or garbage
the splitter finds the next header itself and counts what it skipped. ISO/IEC 14496-3 §1.A.3.2.
"""

from dataclasses import dataclass

SAMPLES = 1024
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_MAX_FRAME = 8191


@dataclass(frozen=True, slots=True)
class AacConfig:
    object_type: int
    rate_index: int
    channel_config: int

    @property
    def sample_rate(self) -> int:
        return _RATES[self.rate_index]

    @property
    def channels(self) -> int:
        return _CHANNELS[self.channel_config]

    @property
    def codecs(self) -> str:
        return f"mp4a.40.{self.object_type}"

    @property
    def audio_specific_config(self) -> bytes:
        value = self.object_type << 11 | self.rate_index << 7 | self.channel_config << 3
        return value.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class AdtsHeader:
    config: AacConfig
    header_size: int
    frame_size: int
    """Header included."""
    blocks: int
    """raw_data_blocks in the frame; only 1 is carried."""


def parse_header(data: bytes, at: int = 0) -> AdtsHeader | None:
    """The header at `at` (7 bytes must be there), or None if there is none."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    rate = data[at + 2] >> 2 & 15
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    header_size = 7 if data[at + 1] & 1 else 9
    if rate >= len(_RATES) or size <= header_size:
        return None
    channels = (data[at + 2] & 1) << 2 | data[at + 3] >> 6
    config = AacConfig((data[at + 2] >> 6) + 1, rate, channels)
    return AdtsHeader(config, header_size, size, (data[at + 6] & 3) + 1)


@dataclass(frozen=True, slots=True)
class AacFrame:
    config: AacConfig
    data: bytes
    pts: int
    """Of the first frame that started in the same PES; 90 kHz, 33 bits."""
    offset: int
    """Frames between that one and this."""


class AdtsSplitter:
    """`receive` payloads in order. The PTS of a PES belongs to the first frame starting in it."""

    def __init__(self) -> None:
        self._rest = b""
        self._pts: int | None = None
        self._offset = 0
        self.skipped_bytes = 0
        self.unsupported_frames = 0
        """Frames of several raw data blocks or without a channel configuration."""

    def reset(self) -> None:
        """Bytes are missing: what is kept of a frame cannot be completed."""
        self._rest = b""
        self._pts = None

    def receive(self, payload: bytes, pts: int | None) -> list[AacFrame]:
        """Every frame that is now whole; none before the first PTS."""
        carried = len(self._rest)
        data = self._rest + payload if carried else payload
        frames: list[AacFrame] = []
        at, size = 0, len(data)
        while at + 7 <= size:
            header = parse_header(data, at)
            if header is None:
                following = data.find(b"\xff", at + 1)
                following = size if following < 0 else following
                self.skipped_bytes += following - at
                at = following
                continue
            if at >= carried and pts is not None:
                self._pts, self._offset, pts = pts, 0, None
            end = at + header.frame_size
            if end > size:
                break
            if header.blocks != 1 or not header.config.channels:
                self.unsupported_frames += 1
            elif self._pts is not None:
                body = data[at + header.header_size : end]
                frames.append(AacFrame(header.config, body, self._pts, self._offset))
            self._offset += header.blocks
            at = end
        if pts is not None and carried <= at < size:
            self._pts, self._offset = pts, 0  # a header starts here and ends in the next payload
        self._rest = data[at:]
        return frames
