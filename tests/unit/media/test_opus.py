"""Opus in MPEG-TS, RFC 6716 §3.1, RFC 7845 §5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.media import opus
from hotpath.media.psi import StreamEntry


def access_unit(packet: bytes, *, flags: int = 0xE0, extra: bytes = b"") -> bytes:
    size = b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    return bytes((0x7F, flags)) + size + extra + packet


@pytest.mark.parametrize(
    ("toc", "samples"),
    [
        (b"\xfc", 960),  # CELT 20 ms, one frame
        (b"\xe0", 120),  # CELT 2.5 ms
        (b"\xf1", 960),  # CELT 10 ms, two frames
        (b"\x18", 2880),  # SILK 60 ms
        (b"\x68", 960),  # hybrid 20 ms
        (b"\xff\x06", 5760),  # CELT 20 ms, six frames
        (b"\xff\x07", 0),  # more than 120 ms
        (b"", 0),
    ],
)
def test_the_toc_byte_tells_the_duration(toc: bytes, samples: int) -> None:
    assert opus.packet_samples(toc) == samples


def test_control_headers_go_and_packets_stay() -> None:
    long = b"\xfc" + b"x" * 600
    payload = (
        access_unit(b"\xfcabc")
        + access_unit(long, flags=0xF8, extra=b"\x01\x38\x00\x10")  # start and end trim
        + access_unit(b"\xfcz", flags=0xE4, extra=b"\x02hi")  # control extension
    )
    packets, unread = opus.split(payload)
    assert [p.data for p in packets] == [b"\xfcabc", long, b"\xfcz"]
    assert unread == 0


@given(st.binary(max_size=400))
def test_splitting_never_raises(data: bytes) -> None:
    packets, unread = opus.split(data)
    assert sum(len(p.data) for p in packets) <= len(data)
    assert unread <= len(data)


def test_opus_head_of_stereo_and_of_surround() -> None:
    assert opus.opus_head(2, 312).hex() == "4f707573486561640102380180bb0000000000"
    assert opus.opus_head(6)[-8:] == bytes((4, 2, 0, 4, 1, 2, 3, 5))


def test_channels_come_from_the_extension_descriptor() -> None:
    assert opus.channels_of(StreamEntry(1, 6, ((5, b"Opus"), (0x7F, b"\x80\x06")))) == 6
    assert opus.channels_of(StreamEntry(1, 6, ((5, b"Opus"),))) == 2
