"""How the slate gives way: to a publisher that is back, that was silent, that takes over."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hotpath.media.unit import AUDIO, VIDEO, FormatChange
from hotpath.program.options import SECOND
from hotpath.program.states import ProgramState, PublisherLost, WentLive
from tests.support.programme import EPOCH, HZ, Harness, Part, media
from tests.support.slates import (
    AAC,
    FORMATS,
    PICTURE,
    check_cadence,
    check_continuous,
    coded,
    on_air,
    slate_of,
)


def test_a_publisher_that_is_back_goes_on_at_the_wall_clock() -> None:
    harness = on_air(reconnect_window_s=30)
    harness.lose()
    harness.wait(5.03)
    harness.connect(2, FORMATS)
    harness.send(coded(3, start=8), publisher=2)
    assert harness.program.state is ProgramState.LIVE
    assert harness.heard(WentLive) == [WentLive(1), WentLive(2)]
    back = [part for part in harness.parts() if part.discontinuity_seq == 2]
    assert abs(back[0].start - round(8.03 * HZ)) <= 0.2 * HZ
    assert back[0].start >= slate_of(harness)[-1].end
    assert not any(part.slate for part in back)
    assert harness.program.next_deadline() is not None
    assert len(back) == 15


def test_nothing_is_shown_while_one_that_is_back_waits_for_its_sound_to_be_described() -> None:
    harness = on_air(reconnect_window_s=30)
    harness.lose()
    harness.wait(5)
    harness.connect(2, [PICTURE])
    harness.send((u for u in coded(0.5, start=8) if u.track == VIDEO), publisher=2)
    count = len(slate_of(harness))
    assert slate_of(harness)[-1].at <= 8 * SECOND
    harness.program.publisher_formats(2, FORMATS, harness.now, EPOCH + harness.now)
    harness.send(coded(2, start=8.5), publisher=2)
    assert len(slate_of(harness)) == count
    back = [part for part in harness.parts() if not part.slate and part.discontinuity_seq == 2]
    assert abs(back[0].start - 8 * HZ) <= 0.1 * HZ


def check_no_hole(parts: Sequence[Part]) -> None:
    """A publisher may be back between two beats of the slate."""
    for before, after in pairwise(parts):
        assert 0 <= (after.start - before.end) / after.timescale <= 0.215


def test_it_is_shown_while_one_that_is_back_has_sound_but_no_picture_yet() -> None:
    harness = on_air(reconnect_window_s=30)
    harness.lose()
    harness.wait(5)
    harness.connect(2, [AAC])
    harness.send((u for u in coded(0.9, start=8) if u.track == AUDIO), publisher=2)
    # The first keyframe was lost on its way; only at the second is the picture known.
    harness.program.publisher_formats(2, FORMATS, harness.now, EPOCH + harness.now)
    harness.send(coded(3, start=9), publisher=2)
    for track in (VIDEO, AUDIO):
        parts = harness.parts(track)
        check_no_hole(parts)
        back = [part for part in parts if part.discontinuity_seq == 2]
        assert abs(back[0].start / back[0].timescale - 9) <= 0.1
        assert len(back) >= 13
    assert slate_of(harness)[-1].at > 8.7 * SECOND


def test_one_that_is_back_with_sound_alone_does_not_set_the_programme_ahead() -> None:
    harness = on_air(reconnect_window_s=30)
    harness.lose()
    harness.wait(5)
    harness.connect(2, [AAC])
    harness.send((u for u in coded(6, start=8) if u.track == AUDIO), publisher=2)
    parts = harness.parts(AUDIO)
    check_no_hole(parts)
    back = [part for part in parts if part.discontinuity_seq == 2]
    assert abs(back[0].start / 48_000 - 10) <= 0.3
    assert abs(parts[-1].end / 48_000 - 14) <= 0.3


def test_a_picture_without_sound_is_back_at_once_where_there_was_none_before() -> None:
    harness = on_air([PICTURE], seconds=4)
    harness.lose()
    harness.wait(2)
    check_cadence(harness.parts())
    harness.connect(2, [PICTURE])
    harness.send(coded(1, start=6, audio=False), publisher=2)
    back = next(part for part in harness.parts() if part.discontinuity_seq == 2)
    assert back.at < 6.2 * SECOND


def test_a_silent_publisher_gives_way_and_is_back_with_its_next_keyframe() -> None:
    harness = on_air(seconds=3.1)
    harness.wait(2)
    assert harness.program.state is ProgramState.LIVE
    parts = harness.parts()
    check_continuous(parts)
    # The time that passed unnoticed is filled at once.
    waited = max(after.at - before.at for before, after in pairwise(parts))
    assert 1 * SECOND < waited < 1.5 * SECOND
    assert abs(parts[-1].end - 5.1 * HZ) < 0.25 * HZ
    harness.send(coded(2, start=5.1))
    keys = [s for s in harness.samples() if s.mark.discontinuity_seq == 2]
    assert keys[0].unit.keyframe
    assert not keys[0].unit.slate
    assert harness.heard(WentLive) == [WentLive(1)]
    assert harness.heard(PublisherLost) == []
    last = slate_of(harness)[-1]
    assert keys[0].unit.dts >= last.end
    assert abs(keys[0].unit.dts - 6 * HZ) < 0.2 * HZ


def test_a_stall_shorter_than_that_goes_on_where_it_was() -> None:
    harness = on_air(seconds=3.1)
    harness.wait(1.1)
    late = coded(5, start=3.1)
    harness.program.publisher_units(1, late, harness.now, EPOCH + harness.now)
    assert slate_of(harness) == []
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}
    assert len(harness.samples()) == 243
    for track in VIDEO, AUDIO:
        check_continuous(harness.parts(track))


def test_a_silent_publisher_that_stalls_leaves_the_slate_on() -> None:
    harness = on_air()
    harness.wait(12)
    assert harness.program.state is ProgramState.RECONNECTING
    assert harness.heard(PublisherLost) == [PublisherLost(1, "stalled")]
    check_continuous(harness.parts())
    check_cadence(slate_of(harness)[7:])
    assert {part.discontinuity_seq for part in slate_of(harness)} == {1}


def test_a_takeover_that_brings_a_keyframe_in_time_shows_no_slate() -> None:
    harness = on_air()
    harness.wait(1)
    # A standby steps in with what it has held since its newest keyframe.
    harness.program.publisher_replaced(1, EPOCH + harness.now)
    harness.connect(2, FORMATS)
    held = coded(1, start=3)
    harness.program.publisher_units(2, held, harness.now, EPOCH + harness.now)
    harness.send(coded(2, start=4), publisher=2)
    assert slate_of(harness) == []
    harness.connect(3, FORMATS)
    harness.send(coded(2, start=6.05), publisher=3)
    assert slate_of(harness) == []


def test_a_takeover_whose_keyframe_takes_its_time_shows_it_until_then() -> None:
    harness = on_air()
    harness.connect(2, FORMATS)
    harness.send(coded(4, start=3.01, gop=180), publisher=2)
    assert harness.program.state is ProgramState.LIVE
    slate = slate_of(harness)
    assert 4.1 * SECOND < slate[0].at < 4.5 * SECOND
    assert 5.8 * SECOND < slate[-1].at < 6.1 * SECOND
    assert harness.heard(WentLive) == [WentLive(1), WentLive(2)]


def test_a_silent_publisher_without_a_picture_goes_on_where_it_was() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3.1))
    harness.wait(3)
    harness.program.publisher_units(1, media(5, start=3.1), harness.now, EPOCH + harness.now)
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}


def test_no_init_section_is_made_anew() -> None:
    harness = on_air()
    harness.lose()
    harness.wait(3)
    harness.connect(2, FORMATS)
    harness.send(coded(3, start=6), publisher=2)
    assert len([item for item in harness.items if isinstance(item, FormatChange)]) == 2


def test_a_publisher_with_another_picture_has_an_init_section_of_its_own() -> None:
    harness = on_air()
    harness.lose()
    harness.wait(3)
    larger = replace(PICTURE, config=PICTURE.config + b"\0\0\0\1\x68\xce", width=1280)
    harness.connect(2, [larger, AAC])
    harness.send(coded(3, start=6), publisher=2)
    changes = [item for item in harness.items if isinstance(item, FormatChange)]
    assert [(change.format.track, change.number) for change in changes] == [
        (VIDEO, 0), (AUDIO, 0), (VIDEO, 1),
    ]  # fmt: skip
