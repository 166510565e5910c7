"""CMAF fragments: what is written is what a reader and a decoder find."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.events import PartReady
from hotpath.hls.fmp4 import (
    FragmentError,
    FragmentSample,
    fragment,
    length_prefixed,
    read_fragments,
    sequence_number,
    whole_length,
)
from hotpath.hls.init import init_section
from hotpath.hls.packager import mux_part
from hotpath.hls.segmenter import Segmenter
from hotpath.media.unit import AUDIO, VIDEO, Codec
from tests.support.coded import coded, decoded, marked

SAMPLES = st.lists(
    st.builds(
        FragmentSample,
        data=st.binary(max_size=40),
        duration=st.integers(0, 2**32 - 1),
        composition_offset=st.integers(-(2**31), 2**31 - 1),
        keyframe=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(samples=SAMPLES, sequence=st.integers(0, 2**32 - 1), base=st.integers(0, 2**63))
def test_a_fragment_reads_back_as_it_was_written(
    samples: list[FragmentSample], sequence: int, base: int
) -> None:
    data = fragment(sequence, base, samples)
    (found,) = read_fragments(data)
    assert (found.sequence, found.base) == (sequence, base)
    assert list(found.samples) == samples
    assert (found.start, found.end) == (0, len(data))


@given(parts=st.lists(SAMPLES, min_size=1, max_size=4), cut=st.integers(0, 200))
def test_a_cut_file_keeps_its_whole_fragments(parts: list[list[FragmentSample]], cut: int) -> None:
    fragments = [fragment(n, 0, samples) for n, samples in enumerate(parts)]
    data = b"".join(fragments)
    kept = data[: max(len(data) - cut, 0)]
    length = whole_length(kept)
    assert length in [sum(map(len, fragments[:n])) for n in range(len(fragments) + 1)]
    assert len(kept) - length < len(fragments[-1]) or length < sum(map(len, fragments[:-1]))
    assert len(read_fragments(kept[:length])) <= len(parts)


@given(st.binary(max_size=300))
def test_reading_anything_else_is_refused_not_a_crash(data: bytes) -> None:
    try:
        found = read_fragments(data)
    except FragmentError:
        return
    assert data == b"" or found


@given(samples=SAMPLES, position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_fragment_is_refused_or_read(
    samples: list[FragmentSample], position: int, byte: int
) -> None:
    data = bytearray(fragment(1, 0, samples))
    data[position % len(data)] = byte
    try:
        read_fragments(bytes(data))
    except FragmentError:
        return


def test_an_empty_fragment_is_refused() -> None:
    with pytest.raises(FragmentError):
        fragment(1, 0, [])


@pytest.mark.parametrize(
    ("codec", "annexb", "expected"),
    [
        (Codec.H264, b"\0\0\0\1\x65ab", b"\0\0\0\3\x65ab"),
        (Codec.H264, b"\0\0\1\x65ab\0\0\0\1\x41c", b"\0\0\0\3\x65ab\0\0\0\2\x41c"),
        (Codec.H264, b"\0\0\1\x65ab\0\0\0", b"\0\0\0\3\x65ab"),
        (Codec.H264, b"\0\0\1\x09\xf0\0\0\1\x67s\0\0\1\x68p\0\0\1\x65i", b"\0\0\0\2\x65i"),
        (Codec.H264, b"\0\0\1\x0c\xff\xff\x80\0\0\1\x06sei\x80", b"\0\0\0\5\x06sei\x80"),
        (Codec.HEVC, b"\0\0\1\x40\1v\0\0\1\x42\1s\0\0\1\x44\1p\0\0\1\x26\1i", b"\0\0\0\3\x26\1i"),
        (Codec.HEVC, b"\0\0\1\x46\1\x50\0\0\1\x02\1i", b"\0\0\0\3\x02\1i"),
        (Codec.H264, b"", b""),
        (Codec.H264, b"no start code", b""),
    ],
)
def test_start_codes_become_lengths(codec: Codec, annexb: bytes, expected: bytes) -> None:
    assert length_prefixed(annexb, codec) == expected


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 200)), min_size=2, max_size=20))
def test_sequence_numbers_rise_with_the_parts(positions: list[tuple[int, int]]) -> None:
    numbers = [sequence_number(*position) for position in sorted(set(positions))]
    assert all(a < b for a, b in pairwise(numbers))
    assert all(0 < number < 2**32 for number in numbers)


@pytest.mark.parametrize(
    ("video", "audio"), [("h264", "aac"), ("h264-b", "opus"), ("hevc", "aac"), ("h264-b", "aac")]
)
def test_the_parts_decode_to_the_frames_of_the_source(video: str, audio: str) -> None:
    source = coded(video, audio)
    events = Segmenter().receive(marked(source))
    for name in (VIDEO, AUDIO):
        parts = [e for e in events if isinstance(e, PartReady) and e.format.track == name]
        media = [mux_part(part) for part in parts]
        frames = decoded(init_section(source.format(name)) + b"".join(media), "mp4")
        if name == VIDEO:
            container = "hevc" if video == "hevc" else "h264"
            assert frames == decoded(source.elementary[name], container)
        elif audio == "aac":
            assert frames == decoded(source.elementary[name], "aac")
        else:
            assert len(frames) == len(source.track(AUDIO))


@pytest.mark.parametrize("video", ["h264", "h264-b"])
def test_every_sample_keeps_its_time(video: str) -> None:
    source = coded(video, "aac")
    events = Segmenter().receive(marked(source))
    for name in (VIDEO, AUDIO):
        times = []
        for event in events:
            if isinstance(event, PartReady) and event.format.track == name:
                (found,) = read_fragments(mux_part(event))
                dts = found.base
                for sample in found.samples:
                    times.append((dts + sample.composition_offset, dts))
                    dts += sample.duration
        assert times == [(unit.pts, unit.dts) for unit in source.track(name)]


def test_only_keyframes_are_sync_samples() -> None:
    source = coded("h264", None)
    parts = [e for e in Segmenter().receive(marked(source)) if isinstance(e, PartReady)]
    flags = [s.keyframe for part in parts for s in read_fragments(mux_part(part))[0].samples]
    assert flags == [unit.keyframe for unit in source.track(VIDEO)]
