"""One programme under publishers that come, go, stall and change their mind."""

import pytest

from hotpath.media.unit import VIDEO, Codec, Format, FormatChange, ProgramEnd, SegmentCut
from hotpath.program.options import SECOND, Numbers
from hotpath.program.states import (
    DropPublisher,
    Ended,
    IngestWarning,
    NumbersUsed,
    OpenWanted,
    ProgramState,
    PublisherLost,
    Trigger,
    WentLive,
    advance,
)
from infra.errors import IllegalTransition
from tests.support.programme import AAC, EPOCH, H264, HZ, LARGER, Harness, media


def test_a_programme_goes_live_with_the_first_keyframe() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(0.4, start=0.5))
    assert harness.program.state is ProgramState.WAITING
    harness.send(media(1, start=0.9))
    assert harness.program.state is ProgramState.LIVE
    assert harness.heard(WentLive) == [WentLive(1)]
    assert harness.samples()[0].unit.keyframe
    assert harness.samples()[0].unit.dts == 0


def test_nothing_is_published_before_storage_is_open_and_nothing_is_lost() -> None:
    harness = Harness(open_at_once=False)
    harness.connect()
    harness.send(media(1))
    assert harness.heard(OpenWanted) == [OpenWanted(EPOCH)]
    assert harness.items == []
    harness.open()
    harness.send(media(1, start=1))
    assert len(harness.samples()) == 60


def test_storage_that_does_not_open_bounds_what_is_kept() -> None:
    harness = Harness(open_at_once=False)
    harness.connect()
    harness.send(media(120))
    assert harness.program.totals()["backlog-dropped"] > 0
    harness.open()
    assert harness.samples()[0].unit.keyframe
    assert 0 < len(harness.samples()) < 30 * 60


def test_a_reconnect_within_the_window_continues_with_a_discontinuity() -> None:
    harness = Harness(reconnect_window_s=30)
    harness.connect()
    harness.send(media(3))
    harness.lose()
    assert harness.program.state is ProgramState.RECONNECTING
    assert harness.heard(PublisherLost) == [PublisherLost(1, "gone")]
    assert isinstance(harness.items[-1], SegmentCut)
    harness.wait(10)
    harness.connect(2)
    harness.send(media(3, start=13), publisher=2)
    assert harness.program.state is ProgramState.LIVE
    again = [s for s in harness.samples() if s.mark.discontinuity_seq == 1]
    assert again[0].unit.dts == 13 * HZ
    assert len(again) == 90


def test_the_window_ends_the_programme() -> None:
    harness = Harness(reconnect_window_s=30)
    harness.connect()
    harness.send(media(3))
    harness.lose()
    harness.wait(29)
    assert harness.program.state is ProgramState.RECONNECTING
    harness.wait(2)
    assert harness.program.state is ProgramState.ENDED
    assert harness.items[-1] == ProgramEnd(final=True)
    assert harness.heard(Ended) == [Ended("the reconnect window passed")]
    assert harness.program.next_deadline() is None


def test_a_publisher_that_is_back_in_time_may_send_its_keyframe_later() -> None:
    harness = Harness(reconnect_window_s=5)
    harness.connect()
    harness.send(media(3))
    harness.lose()
    harness.wait(4.5)
    harness.connect(2)
    harness.send(media(3, start=8.1, gop=30), publisher=2)
    assert harness.program.state is ProgramState.LIVE


def test_a_publisher_before_any_media_leaves_no_trace() -> None:
    harness = Harness()
    harness.connect()
    harness.lose()
    assert harness.program.state is ProgramState.WAITING
    assert harness.heard(PublisherLost) == []
    assert harness.program.next_deadline() is None


def test_a_second_publisher_takes_over() -> None:
    harness = Harness()
    harness.connect(1)
    harness.send(media(3))
    harness.connect(2)
    assert harness.heard(DropPublisher) == [DropPublisher(1, "another publisher took over")]
    harness.send(media(1, start=3), publisher=1)
    assert len(harness.samples()) == 90
    harness.send(media(1, start=4), publisher=2)
    assert len(harness.samples()) == 120
    harness.lose(1)
    assert harness.program.state is ProgramState.LIVE


def test_a_publisher_replaced_by_ingest_leaves_the_programme_live() -> None:
    harness = Harness()
    harness.connect(1)
    harness.send(media(3))
    harness.program.publisher_replaced(1, EPOCH)
    harness.connect(2)
    assert harness.program.state is ProgramState.LIVE
    harness.send(media(1, start=4), publisher=2)
    assert len(harness.samples()) == 120
    assert harness.heard(PublisherLost) == []
    harness.lose(2)
    assert harness.heard(PublisherLost) == [PublisherLost(2, "gone")]


def test_a_stalled_publisher_is_closed_then_dropped() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3.1))
    harness.wait(3)
    cuts = [item for item in harness.items if isinstance(item, SegmentCut)]
    assert max(cut.end for cut in cuts if cut.track == VIDEO) == 93 * 3000
    assert harness.program.state is ProgramState.LIVE
    harness.wait(10)
    assert harness.program.state is ProgramState.RECONNECTING
    assert harness.heard(DropPublisher)
    assert harness.heard(PublisherLost) == [PublisherLost(1, "stalled")]


def test_a_network_stall_goes_on_where_it_was() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3.1))
    harness.wait(3)
    late = media(5, start=3.1)
    harness.program.publisher_units(1, late, harness.now, EPOCH + harness.now)
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}
    assert len(harness.samples()) == 243


def test_a_resolution_change_starts_at_its_keyframe() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3))
    harness.program.publisher_formats(1, [LARGER, AAC], harness.now, EPOCH)
    harness.send(media(3, start=3))
    assert FormatChange(LARGER, 1) in harness.items
    changed = [s for s in harness.samples() if s.mark.discontinuity_seq == 1]
    assert changed[0].unit.keyframe
    assert changed[0].unit.dts == 3 * HZ
    assert len(changed) == 90


def test_a_measured_frame_duration_is_no_change_of_format() -> None:
    harness = Harness()
    unknown = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360)
    harness.connect(formats=[unknown, AAC])
    harness.send(media(1))
    harness.program.publisher_formats(1, [H264, AAC], harness.now, EPOCH)
    harness.send(media(1, start=1))
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}
    assert len([item for item in harness.items if isinstance(item, FormatChange)]) == 2


def test_closing_ends_everything_and_drops_the_publisher() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3))
    harness.program.close("ended by request", harness.now, EPOCH)
    assert harness.items[-1] == ProgramEnd(final=True)
    assert harness.heard(DropPublisher) == [DropPublisher(1, "ended by request")]
    count = len(harness.items)
    harness.send(media(1, start=3))
    harness.connect(2)
    assert len(harness.items) == count
    assert harness.heard(DropPublisher)[-1] == DropPublisher(2, "the event is over")


def test_stopping_is_not_final() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3))
    harness.program.stop(harness.now, EPOCH)
    assert harness.items[-1] == ProgramEnd(final=False)
    assert harness.program.state is ProgramState.STOPPED
    assert harness.heard(Ended) == []


def test_a_resumed_programme_waits_for_its_publisher_and_counts_on() -> None:
    harness = Harness(reconnect_window_s=30)
    harness.now = 60 * SECOND
    harness.program.resume(harness.publish, Numbers(96, 4, EPOCH), harness.now)
    assert harness.program.state is ProgramState.RECONNECTING
    harness.wait(5)
    harness.connect()
    harness.send(media(3, start=65))
    first = harness.samples()[0]
    assert (first.mark.msn, first.mark.discontinuity_seq) == (96, 4)
    assert first.unit.dts == 65 * HZ
    assert first.mark.pdt_ns == EPOCH + 65 * SECOND


def test_numbers_are_told_as_they_are_used() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(7))
    assert harness.heard(NumbersUsed) == [NumbersUsed(n, 0) for n in range(4)]


def test_a_long_gop_is_told_to_the_creator_once() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(30, gop=300))
    warnings = [event for event in harness.events if isinstance(event, IngestWarning)]
    assert [warning.code for warning in warnings] == ["segment-without-keyframe"]
    assert "keyframe interval" in warnings[0].message


def test_an_illegal_trigger_raises() -> None:
    with pytest.raises(IllegalTransition, match="ended"):
        advance(ProgramState.ENDED, Trigger.PUBLISHED)
