"""The index of an MP4, read back by FFmpeg's demuxer."""

import io
import struct
from fractions import Fraction

import av
import pytest

from coldpath.errors import DamagedMedia
from coldpath.media.index import TrackIndex, head
from tests.support.session import encode

FRAME = 3_600


def track(count: int = 4, *, shows_at: int = 0, delay: int = 0, at: int = 0) -> TrackIndex:
    """Pictures of a byte each, one chunk."""
    video, _ = encode()
    return TrackIndex(
        video.init,
        90_000,
        shows_at=shows_at,
        dts=[n * FRAME for n in range(count)],
        offsets=[delay * FRAME] * count,
        sizes=[1] * count,
        sync=[n == 0 for n in range(count)],
        last_duration=FRAME,
        ends=(count + delay) * FRAME,
        chunks=[(at, count)],
    )


def entries(data: bytes) -> list[list[tuple[int, int, int]]]:
    """(decode time, place, size) of every access unit, by track."""
    with av.open(io.BytesIO(data)) as container:
        return [
            [(e.timestamp, e.pos, e.size) for e in stream.index_entries]
            for stream in container.streams
        ]


def test_every_access_unit_is_where_the_index_says() -> None:
    first = head([track(), track(2, at=4)], 6)
    mine, second = entries(first + b"abcdef")
    assert [at - len(first) for _, at, _ in mine] == [0, 1, 2, 3]
    assert [at - len(first) for _, at, _ in second] == [4, 5]
    assert [time for time, _, _ in mine] == [0, FRAME, 2 * FRAME, 3 * FRAME]


@pytest.mark.parametrize("more", [0, 7, 8, 5_000])
def test_room_that_was_left_is_filled(more: int) -> None:
    tight = head([track()], 4)
    index = head([track()], 4, len(tight) + more)
    assert len(index) == len(tight) + (more if more >= 8 else 0)
    (found,) = entries(index + b"abcd")
    assert [at - len(index) for _, at, _ in found] == [0, 1, 2, 3]


def test_a_track_that_begins_later_is_shown_later() -> None:
    data = head([track(), track(shows_at=9_000, at=4)], 8) + bytes(8)
    with av.open(io.BytesIO(data)) as container:
        starts = [Fraction(s.start_time or 0) * (s.time_base or 0) for s in container.streams]
        assert starts == [0, Fraction(1, 10)]
        assert container.duration == round((0.1 + 4 / 25) * av.time_base)


def test_reordered_pictures_are_decoded_before_they_are_shown() -> None:
    data = head([track(delay=2)], 4) + bytes(4)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams[0]
        assert stream.start_time == 0
        assert stream.index_entries[0].timestamp == -2 * FRAME


def test_media_of_more_than_four_gigabytes_has_wide_places() -> None:
    far = track()
    far.chunks = [(5 << 30, 4)]
    data = head([far], (5 << 30) + 4)
    assert b"co64" in data
    assert data.endswith(struct.pack(">I4sQ", 1, b"mdat", (5 << 30) + 20))
    assert b"stco" not in data
    places = data.index(b"co64") + 12
    assert struct.unpack_from(">Q", data, places) == (len(data) + (5 << 30),)


def test_days_of_media_have_their_length() -> None:
    hours = 9 * 3_600 * 90_000
    long = track(9)
    long.dts, long.ends = [n * hours for n in range(9)], 8 * hours + FRAME
    with av.open(io.BytesIO(head([long], 9) + bytes(9))) as container:
        assert (container.duration or 0) // av.time_base == 3 * 86_400


def test_a_step_that_no_entry_can_hold_is_damage() -> None:
    far = track(2)
    far.dts = [0, 1 << 32]
    with pytest.raises(DamagedMedia, match="too far apart"):
        head([far], 2)


def test_an_init_section_that_cannot_be_read_is_damage() -> None:
    broken = track()
    broken.init = b"garbage"
    with pytest.raises(DamagedMedia, match="an init section has no b'moov' box"):
        head([broken], 4)
