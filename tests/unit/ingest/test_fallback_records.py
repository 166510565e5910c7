import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.errors import FallbackError
from hotpath.ingest.fallback_records import Decoder, encode
from hotpath.ingest.session import (
    FormatsChanged,
    IngestEvent,
    IngestWarning,
    NeedsFallback,
    UnitsReady,
)
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit

AVC = Format(VIDEO, Codec.H264, 90_000, b"\x00\x01", "avc1.42c01e", 640, 360, frame_duration=3000)
UNITS = st.builds(
    Unit,
    track=st.sampled_from((VIDEO, AUDIO)),
    pts=st.integers(-(2**40), 2**40),
    dts=st.integers(-(2**40), 2**40),
    keyframe=st.booleans(),
    data=st.binary(max_size=50),
    ingest_ns=st.integers(0, 2**62),
    demuxed_ns=st.just(7),
    damaged=st.booleans(),
)
EVENTS = st.one_of(
    st.just(FormatsChanged((AVC,))),
    st.builds(IngestWarning, st.text(max_size=9), st.text(max_size=30)),
    st.builds(lambda u: UnitsReady((u,)), UNITS),
)


@given(st.lists(EVENTS, max_size=6), st.integers(1, 40))
def test_what_goes_in_comes_out_in_any_chunking(events: list[IngestEvent], chunk: int) -> None:
    data = b"".join(encode(e) for e in events)
    decoder = Decoder()
    found: list[IngestEvent] = []
    for at in range(0, len(data), chunk):
        found += decoder.receive(data[at : at + chunk], 7)
    assert found == events


@given(st.binary(max_size=200))
def test_anything_else_is_a_fallback_error(data: bytes) -> None:
    with contextlib.suppress(FallbackError):
        Decoder().receive(data, 7)


def test_a_record_that_is_too_long_is_refused_before_it_is_held() -> None:
    with pytest.raises(FallbackError, match="bytes"):
        Decoder().receive(b"U\xff\xff\xff\xff", 7)


def test_events_that_do_not_travel_are_refused() -> None:
    with pytest.raises(FallbackError, match="NeedsFallback"):
        encode(NeedsFallback("MP2"))
