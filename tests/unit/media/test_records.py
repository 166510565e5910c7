"""Records between processes: what goes in comes out, and nothing else."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.media.records import (
    RecordError,
    Splitter,
    pack_format,
    pack_unit,
    record,
    unpack_format,
    unpack_json,
    unpack_unit,
)
from hotpath.media.unit import AUDIO, COMPANION, VIDEO, Codec, Format, Unit

AVC = Format(VIDEO, Codec.H264, 90_000, b"\x00\x01", "avc1.42c01e", 640, 360, frame_duration=3000)
UNITS = st.builds(
    Unit,
    track=st.sampled_from((VIDEO, AUDIO, COMPANION)),
    pts=st.integers(-(2**40), 2**40),
    dts=st.integers(-(2**40), 2**40),
    keyframe=st.booleans(),
    data=st.binary(max_size=50),
    ingest_ns=st.integers(0, 2**62),
    demuxed_ns=st.just(7),
    capture_ns=st.none() | st.integers(0, 2**62),
    damaged=st.booleans(),
)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=30)), max_size=6))
def test_records_come_back_in_any_chunking(records: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(record(*each) for each in records)
    for chunk in (1, 3, 1000):
        splitter = Splitter()
        found = []
        for at in range(0, len(data), chunk):
            found += splitter.receive(data[at : at + chunk])
        assert found == records


def test_a_record_that_is_too_long_is_refused_before_it_is_held() -> None:
    with pytest.raises(RecordError, match="101 bytes, 100"):
        Splitter(100).receive(record(b"U", bytes(101))[:5])


@given(UNITS)
def test_units_come_back(unit: Unit) -> None:
    assert unpack_unit(pack_unit(unit), 7) == unit


@given(st.binary(max_size=60))
def test_other_bytes_are_a_record_error(body: bytes) -> None:
    with contextlib.suppress(RecordError):
        unpack_unit(body, 7)
    with contextlib.suppress(RecordError):
        unpack_format(unpack_json(body))
    with contextlib.suppress(RecordError):
        Splitter().receive(body)


def test_formats_come_back() -> None:
    assert unpack_format(unpack_json(json.dumps(pack_format(AVC)).encode())) == AVC


@pytest.mark.parametrize(
    "change",
    [
        {"timescale": "90000"},
        {"width": True},
        {"codec": "vp8"},
        {"config": "zz"},
        {"track": None},
        {"more": 1},
    ],
)
def test_a_format_with_anything_else_in_it_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        unpack_format({**pack_format(AVC), **change})
