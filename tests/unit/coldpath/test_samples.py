"""Access units of segments, as boxes say them, against what the encoder wrote."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import box
from coldpath.media.samples import samples, segment_times
from infra.keys import ProgramKey
from tests.support.session import Track, encode, session

KEY = ProgramKey("p", "e")


def segment(track: Track) -> bytes:
    return b"".join(fragment.data for fragment in track.fragments)


def fragment(
    media: bytes,
    *rows: tuple[int, ...],
    present: int,
    version: int = 0,
    tfhd: bytes = bytes(8),
    offset: int = 0,
) -> bytes:
    """One with a `trun` of these rows; its media lies `offset` bytes before where it says."""
    table = b"".join(struct.pack(f">{len(row)}I", *row) for row in rows)

    def moof(at: int) -> bytes:
        head = struct.pack(">IIi", version << 24 | present | 0x1, len(rows), at)
        tfdt = struct.pack(">IQ", 1 << 24, 1_000)
        traf = box(b"traf", box(b"tfhd", tfhd), box(b"tfdt", tfdt), box(b"trun", head, table))
        return box(b"moof", box(b"mfhd", bytes(8)), traf)

    return moof(len(moof(0)) + 8 + offset) + box(b"mdat", media)


def test_every_access_unit_of_an_encoder_is_found() -> None:
    for track in encode():
        found = samples(segment(track), "s0")
        assert len(found.dts) == track.samples
        assert found.dts[0] == found.shown - found.offsets[0] == track.fragments[0].base
        assert sum(found.durations) == sum(f.duration for f in track.fragments)
        assert sum(found.sizes) == sum(map(len, found.payload))
        keys = sum(f.keyframe for f in track.fragments)
        assert sum(found.sync) == (keys if track.kind == "video" else track.samples)


def test_the_media_is_what_lies_in_mdat() -> None:
    data = fragment(b"onetwoo", (3,), (4,), present=0x200, tfhd=struct.pack(">III", 0x8, 1, 10))
    found = samples(data, "s0")
    assert b"".join(found.payload) == b"onetwoo"
    assert (found.dts, found.durations, found.offsets) == ([1_000, 1_010], [10, 10], [0, 0])


def test_offsets_may_be_negative() -> None:
    rows = ((5, 1, 20), (5, 1, (1 << 32) - 5))
    found = samples(fragment(b"ab", *rows, present=0xB00, version=1), "s0")
    assert found.offsets == [20, -5]


def test_a_fragment_that_is_cut_short_is_left_out() -> None:
    whole = fragment(b"ab", (1, 2), present=0x300)
    assert len(samples(whole + whole[:-1], "s0").dts) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage" * 100,
        box(b"moof", box(b"traf")) + box(b"mdat", b"x"),
        fragment(b"ab", (1, 2), present=0x300, offset=1),
        fragment(b"ab", (1, 2), present=0x300, tfhd=struct.pack(">IIQ", 0x1, 1, 0)),
    ],
)
def test_what_makes_no_sense_is_named(data: bytes) -> None:
    with pytest.raises(DamagedMedia, match="video/s7"):
        samples(data, "video/s7")


@settings(deadline=None)
@given(st.data())
def test_nothing_but_damage_is_raised_and_nothing_lies_outside(data: st.DataObject) -> None:
    video, _ = encode()
    whole = bytearray(video.fragments[0].data)
    for _ in range(data.draw(st.integers(1, 8))):
        # Boxes are in front.
        whole[data.draw(st.integers(0, 199))] = data.draw(st.integers(0, 255))
    try:
        found = samples(bytes(whole), "s0")
    except DamagedMedia:
        return
    counts = {len(found.dts), len(found.sizes), len(found.offsets), len(found.sync)}
    assert counts == {len(found.durations)}
    assert sum(found.sizes) <= len(whole)


@pytest.mark.parametrize("number", [0, 1])
def test_a_segment_says_what_its_manifest_says(number: int) -> None:
    made = session(KEY, "i1", *encode(), start_s=1000)
    entries = made.manifest.renditions[number].segments
    name = made.manifest.renditions[number].name
    for entry in entries:
        found = segment_times(made.objects[f"live/{KEY}/i1/{name}/s{entry.msn}.m4s"], "it")
        assert (found.start, found.duration, found.samples, found.independent) == (
            entry.start, entry.duration, entry.samples, entry.independent,
        )  # fmt: skip
        # Two pictures are decoded before the first one is shown.
        assert found.shown - found.start == (7_200 if name == "video" else 0)


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_damage_of_a_segment_raises_nothing_but_damage(garbage: bytes, at: int) -> None:
    good = encode()[0].fragments[0].data
    for data in (garbage, good[:at] + garbage + good[at + len(garbage) :], good[:at]):
        with suppress(DamagedMedia):
            segment_times(data, "live/x/s1.m4s")


def test_damage_of_a_segment_is_told_in_words() -> None:
    with pytest.raises(DamagedMedia, match=r"live/x/s1\.m4s holds no fragment"):
        segment_times(b"", "live/x/s1.m4s")
