"""Delivery directives: draft-pantos-hls-rfc8216bis 6.2.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.directives import Answer, Block, Decision, Edge, Reject, Skip, decide

EDGE = Edge(last_msn=40, last_parts=5, open_parts=3, ended=False, part_target_ms=215)
BETWEEN = Edge(last_msn=40, last_parts=5, open_parts=0, ended=False, part_target_ms=215)
SLOW = Edge(last_msn=40, last_parts=5, open_parts=3, ended=False, part_target_ms=1000)
ENDED = Edge(last_msn=40, last_parts=5, open_parts=0, ended=True, part_target_ms=215)


@pytest.mark.parametrize(
    ("edge", "query", "expected"),
    [
        # no directive, or none of ours
        (EDGE, "", Answer()),
        (EDGE, "a=b&c", Answer()),
        (EDGE, "_HLS_unknown=1", Answer()),
        # 6.2.5.2: whole segments
        (EDGE, "_HLS_msn=40", Answer()),
        (EDGE, "_HLS_msn=41", Block(41, None)),
        (EDGE, "_HLS_msn=42", Block(42, None)),
        # parts
        (EDGE, "_HLS_msn=41&_HLS_part=2", Answer()),
        (EDGE, "_HLS_msn=41&_HLS_part=3", Block(41, 3)),
        (EDGE, "_HLS_part=3&_HLS_msn=41", Block(41, 3)),
        (EDGE, "_HLS_msn=42&_HLS_part=0", Block(42, 0)),
        # an old position: the whole playlist, however old
        (EDGE, "_HLS_msn=0", Answer()),
        (EDGE, "_HLS_msn=3&_HLS_part=900", Answer()),
        # a part past a closed segment is part 0 of the next
        (EDGE, "_HLS_msn=40&_HLS_part=5", Answer()),
        (BETWEEN, "_HLS_msn=40&_HLS_part=4", Answer()),
        (BETWEEN, "_HLS_msn=40&_HLS_part=5", Block(40, 5)),
        (BETWEEN, "_HLS_msn=41&_HLS_part=0", Block(41, 0)),
        # 6.2.5.1
        (EDGE, "_HLS_skip=YES", Answer(Skip.SEGMENTS)),
        (EDGE, "_HLS_skip=v2", Answer(Skip.DATES)),
        (EDGE, "_HLS_skip=NO", Answer()),
        (EDGE, "_HLS_skip=", Answer()),
        (EDGE, "_HLS_skip=YES&_HLS_msn=41&_HLS_part=3", Block(41, 3, Skip.SEGMENTS)),
        # the end: directives are ignored, even wrong ones
        (ENDED, "_HLS_msn=900&_HLS_part=x&_HLS_skip=YES", Answer()),
        (ENDED, "_HLS_part=1", Answer()),
    ],
)
def test_what_a_query_gets(edge: Edge, query: str, expected: Decision) -> None:
    assert decide(query, edge) == expected


@pytest.mark.parametrize(
    ("edge", "query"),
    [
        (EDGE, "_HLS_part=1"),
        (EDGE, "_HLS_msn=43"),
        (EDGE, "_HLS_msn=43&_HLS_part=0"),
        # 3 / 0.215 = 13.95 parts beyond part 2
        (EDGE, "_HLS_msn=41&_HLS_part=16"),
        (SLOW, "_HLS_msn=41&_HLS_part=6"),
        (EDGE, "_HLS_msn=42&_HLS_part=13"),
        (EDGE, "_HLS_msn="),
        (EDGE, "_HLS_msn=-1"),
        (EDGE, "_HLS_msn=1.5"),
        (EDGE, "_HLS_msn=٤٠"),
        (EDGE, "_HLS_msn=41&_HLS_part=x"),
        (EDGE, "_HLS_msn=40&_HLS_msn=41"),
        (EDGE, "_HLS_msn=" + "9" * 5000),
    ],
)
def test_what_is_refused_at_once(edge: Edge, query: str) -> None:
    decision = decide(query, edge)
    assert isinstance(decision, Reject)
    assert decision.status == 400


@pytest.mark.parametrize(
    ("edge", "query"),
    [
        (EDGE, "_HLS_msn=41&_HLS_part=15"),
        (SLOW, "_HLS_msn=41&_HLS_part=5"),
        (EDGE, "_HLS_msn=42&_HLS_part=12"),
    ],
)
def test_the_advance_part_limit_itself_is_waited_for(edge: Edge, query: str) -> None:
    assert isinstance(decide(query, edge), Block)


EDGES = st.builds(
    Edge,
    last_msn=st.integers(-1, 50),
    last_parts=st.integers(0, 12),
    open_parts=st.integers(0, 12),
    ended=st.booleans(),
    part_target_ms=st.sampled_from([100, 215, 1000]),
)
QUERIES = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(["_HLS_msn", "_HLS_part", "_HLS_skip", "x"]),
            st.one_of(st.integers(-5, 60).map(str), st.sampled_from(["YES", "v2", "", "1e3"])),
        ).map("=".join),
        max_size=4,
    ).map("&".join),
)


@given(query=QUERIES, edge=EDGES)
def test_any_query_is_decided(query: str, edge: Edge) -> None:
    decision = decide(query, edge)
    if isinstance(decision, Block):
        assert not edge.reached(decision.msn, decision.part)
        assert decision.msn <= edge.last_msn + 2
    if edge.ended:
        assert decision == Answer()


@given(
    edge=EDGES,
    steps=st.lists(st.sampled_from(["part", "segment"]), max_size=30),
    msn=st.integers(0, 60),
    part=st.one_of(st.none(), st.integers(0, 20)),
)
def test_what_was_reached_stays_reached(
    edge: Edge, steps: list[str], msn: int, part: int | None
) -> None:
    reached = edge.reached(msn, part)
    for step in steps:
        if step == "part":
            edge = Edge(edge.last_msn, edge.last_parts, edge.open_parts + 1, False, 215)
        else:
            edge = Edge(edge.last_msn + 1, edge.open_parts, 0, False, 215)
        now = edge.reached(msn, part)
        assert now or not reached
        reached = now
