"""What a ladder and its child say to each other arrives as it was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.job import EncodeError, EncodeSettings
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_records import (
    Admitted,
    Described,
    Encoded,
    Fed,
    LadderMessage,
    LadderReader,
    LeftOut,
    pack,
)
from hotpath.encode.ladder_steps import Cue
from hotpath.encode.records import Counts, Failure
from hotpath.encode.records import pack as pack_bridge
from hotpath.media.records import RecordError, record
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit
from infra.renditions import RUNGS, rungs_of

SOURCE = Format(VIDEO, Codec.HEVC, 90_000, b"\0\1", "hvc1", 1280, 720, frame_duration=3000)
JOB = LadderJob(SOURCE, rungs_of(["720p", "360p"]), 1.5, EncodeSettings(late_ms=7))

units = st.builds(
    Unit,
    st.just(VIDEO),
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    st.booleans(),
    st.binary(max_size=50),
    st.integers(0, 2**60),
    st.just(99),
    st.none() | st.integers(0, 2**60),
)
names = st.sampled_from(sorted(RUNGS))
messages: st.SearchStrategy[LadderMessage] = st.one_of(
    st.just(JOB),
    st.builds(Fed, units, st.none() | st.builds(Cue, st.integers(0, 2**60), st.booleans())),
    st.builds(Encoded, names, units),
    st.builds(Described, names, st.just(SOURCE)),
    st.builds(LeftOut, st.integers(-(2**60), 2**60)),
    st.builds(Admitted, st.lists(names).map(tuple), st.floats(0, 64), st.text(max_size=99)),
    st.builds(Counts, st.dictionaries(names, st.integers(0, 2**60))),
    st.builds(Failure, st.text(max_size=99)),
)


@given(st.lists(messages, max_size=6), st.integers(1, 40))
def test_messages_survive_any_chunking(sent: list[LadderMessage], chunk: int) -> None:
    data = b"".join(pack(message) for message in sent)
    reader = LadderReader()
    got: list[LadderMessage] = []
    for at in range(0, len(data), chunk):
        got += reader.receive(data[at : at + chunk], 99)
    assert got == sent


@given(st.sampled_from([b"L", b"I", b"E", b"D", b"O", b"A", b"C", b"?"]), st.binary(max_size=40))
def test_anything_else_is_a_record_error(kind: bytes, body: bytes) -> None:
    try:
        LadderReader().receive(record(kind, body), 0)
    except RecordError:
        return


def test_the_records_of_a_bridge_are_none_of_a_ladder() -> None:
    with pytest.raises(RecordError, match="another kind"):
        LadderReader().receive(pack_bridge(SOURCE), 0)


def test_a_ladder_needs_a_picture_and_a_rung() -> None:
    with pytest.raises(EncodeError, match="at least one rung"):
        LadderJob(SOURCE, (), 1)
    with pytest.raises(EncodeError, match="no source"):
        LadderJob(Format(AUDIO, Codec.AAC, 48_000, b"", ""), rungs_of(["720p"]), 1)
