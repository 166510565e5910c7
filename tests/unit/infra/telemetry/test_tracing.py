"""Spans of a process: off, and on with a collector that listens."""

import asyncio
from collections.abc import Iterator

import pytest

from infra.telemetry import logs, tracing
from infra.telemetry.traceparent import parse
from infra.telemetry.tracing import span, start_tracing, stop_tracing
from tests.support.collector import Collector

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CLIENT[3:35], CLIENT[36:52]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        start_tracing("test", made.url, gather_s=0.01)
        yield made
        stop_tracing()


class TestOff:
    """The default."""

    def test_everything_does_nothing(self) -> None:
        start_tracing("test", "")
        with span("work", parent=CLIENT) as under_way:
            under_way.named("other")
            under_way.note({"a": 1})
            under_way.failed("no")
            assert under_way.traceparent is None
            assert tracing.current_traceparent() is None
        tracing.link_to(CLIENT)
        stop_tracing()
        assert not tracing.is_on()

    def test_exceptions_pass(self) -> None:
        with pytest.raises(ZeroDivisionError), span("work"):
            _ = 1 // 0


def test_a_span_is_a_child_of_what_it_is_told_of_else_of_what_is_under_way(
    collector: Collector,
) -> None:
    with span("outer", kind="server", parent=CLIENT) as outer:
        assert tracing.current_traceparent() == outer.traceparent
        with span("inner") as inner:
            inner.note({"livepath.event": "ev_1", "left.out": None, "n": 3})
    assert tracing.current_traceparent() is None
    collector.until("outer", "inner")
    above, below = collector.one("outer"), collector.one("inner")
    assert (above.trace, above.parent, above.kind, above.service) == (
        TRACE, SPAN, 2, "livepath-test",
    )  # fmt: skip
    assert (below.trace, below.parent) == (TRACE, above.id)
    assert below.attributes == {"livepath.event": "ev_1", "n": 3}


@pytest.mark.parametrize("parent", [None, "", "garbage", "00-" + "0" * 32 + "-" + "1" * 16 + "-01"])
def test_without_a_usable_parent_a_trace_begins(collector: Collector, parent: str | None) -> None:
    with span("work", parent=parent):
        pass
    found = collector.one("work")
    assert (found.parent, found.trace != TRACE) == ("", True)


def test_a_link_instead_of_a_parent(collector: Collector) -> None:
    with span("outer"), span("apart", link=CLIENT):
        tracing.link_to(CLIENT)
        tracing.link_to("garbage")
    found = collector.one("apart")
    assert (found.parent, found.links) == ("", (TRACE, TRACE))
    with span("part", parent=CLIENT):
        tracing.link_to(CLIENT)
    assert collector.one("part").links == ()


def test_what_fails(collector: Collector) -> None:
    with pytest.raises(ZeroDivisionError), span("broken"):
        _ = 1 // 0
    with span("refused") as under_way:
        under_way.failed("503")
    assert collector.one("broken").failed == "ZeroDivisionError"
    assert collector.one("refused").failed == "503"


def test_who_does_not_want_a_trace_recorded_gets_none(collector: Collector) -> None:
    with span("quiet", parent=CLIENT[:-2] + "00") as quiet:
        handed_on = parse(quiet.traceparent)
        assert handed_on is not None
        assert (handed_on.trace_hex, handed_on.sampled) == (TRACE, False)
    with span("loud"):
        pass
    collector.until("loud")
    assert collector.named("quiet") == []


async def test_tasks_side_by_side_do_not_mix(collector: Collector) -> None:
    async def work(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)
            with span(f"in {name}"):
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"))
    collector.until("in a", "in b", "a", "b")
    for name in ("a", "b"):
        assert collector.one(f"in {name}").parent == collector.one(name).id


def test_log_lines_name_the_trace(collector: Collector) -> None:
    assert logs._add_trace(None, "info", {"event": "x"}) == {"event": "x"}
    with span("work", parent=CLIENT):
        line = logs._add_trace(None, "info", {"event": "x"})
    assert line == {"event": "x", "trace_id": TRACE}


def test_a_collector_that_refuses_is_no_matter(collector: Collector) -> None:
    collector.status = 400
    with span("lost"):
        pass
    with span("work"):
        pass
    stop_tracing()
    assert collector.asked >= 1
    assert collector.spans == []
