"""What a bridge and its child say to each other."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.job import EncodeError, EncodeSettings, Job
from hotpath.encode.records import Counts, Failure, Message, Reader, pack
from hotpath.media.records import RecordError, record
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit

AAC = Format(AUDIO, Codec.AAC, 48_000, b"\x11\x90", "mp4a.40.2", sample_rate=48_000, channels=2)
AVC = Format(VIDEO, Codec.H264, 90_000, b"\x00\x01", "avc1.42c01e", 640, 360)
JOB = Job(AAC, Codec.OPUS, 48_000, 48_000, EncodeSettings(late_ms=5))
MESSAGES = st.one_of(
    st.sampled_from([JOB, AAC, AVC]),
    st.builds(Counts, st.dictionaries(st.text(max_size=9), st.integers(0, 2**40), max_size=5)),
    st.builds(Failure, st.text(st.characters(codec="utf-8"), max_size=100)),
    st.binary(max_size=40).map(lambda data: Unit(VIDEO, -5, 7, True, data, 3, 9, 11)),
)


@given(st.lists(MESSAGES, max_size=6), st.integers(1, 50))
def test_messages_come_back_in_any_chunking(messages: list[Message], chunk: int) -> None:
    data = b"".join(pack(message) for message in messages)
    reader = Reader()
    found: list[Message] = []
    for at in range(0, len(data), chunk):
        found += reader.receive(data[at : at + chunk], 9)
    assert found == messages


@given(st.sampled_from([b"J", b"U", b"F", b"C", b"X", b"?"]), st.binary(max_size=80))
def test_anything_else_is_a_record_error(kind: bytes, body: bytes) -> None:
    with contextlib.suppress(RecordError):
        Reader().receive(record(kind, body), 0)


@pytest.mark.parametrize(
    "body", [b"[]", b'{"a": -1}', b'{"a": true}', b'{"a": "b"}', b"{", b'{"a": 1e99}']
)
def test_counts_are_numbers(body: bytes) -> None:
    with pytest.raises(RecordError):
        Reader().receive(record(b"C", body), 0)


@pytest.mark.parametrize(("source", "target"), [(AAC, Codec.AAC), (AVC, Codec.OPUS)])
def test_a_job_that_nobody_can_do_is_refused(source: Format, target: Codec) -> None:
    with pytest.raises(EncodeError, match="no bridge"):
        Job(source, target, 90_000, 90_000)
