"""The slate: what a programme shows by itself, and how it goes on and off."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionSample,
    Format,
    FormatChange,
    ProgramEnd,
    SegmentCut,
    Unit,
)
from hotpath.program.options import SECOND
from hotpath.program.slate import Slate
from hotpath.program.states import Ended, ProgramState, PublisherLost, WentLive
from tests.support.pictures import encoded
from tests.support.programme import AAC as NAMED
from tests.support.programme import EPOCH, GERMAN, H264, HZ, Harness, Part, media

SOURCE = encoded("h264-cabac")
KEY = SOURCE.units[0].data
PICTURE = replace(SOURCE.format, frame_duration=3000)
AAC = replace(NAMED, config=b"\x11\x90")
OPUS = Format(COMPANION, Codec.OPUS, 48_000, b"OpusHead\1\2", "opus", frame_duration=960)
PART = 215 * SECOND // 1000
FORMATS = (PICTURE, AAC)


def coded(seconds: float, start: float = 0, *, gop: int = 30, audio: bool = True) -> list[Unit]:
    return media(seconds, start, gop=gop, audio=audio, data=KEY)


def on_air(formats: Sequence[Format] = FORMATS, *, seconds: float = 3, **options: int) -> Harness:
    """A programme with a publisher that has sent for so long."""
    harness = Harness(**options)
    harness.connect(formats=formats)
    tracks = {format.track for format in formats}
    harness.send(unit for unit in coded(seconds) if unit.track in tracks)
    assert harness.program.state is ProgramState.LIVE
    return harness


def slate_of(harness: Harness, track: str = VIDEO) -> list[Part]:
    return [part for part in harness.parts(track) if part.slate]


def check_cadence(parts: Sequence[Part], *, within: int = PART) -> None:
    """Each within one part target of the one before, and of a legal length."""
    for before, after in pairwise(parts):
        assert after.at - before.at <= within
    for part in parts:
        seconds = (part.end - part.start) / part.timescale
        assert seconds <= 0.215
        assert part.last or seconds >= 0.85 * 0.215


def check_continuous(parts: Sequence[Part]) -> None:
    """One part after the other; a discontinuity may come with the length of a frame of sound."""
    for before, after in pairwise(parts):
        cut = before.discontinuity_seq != after.discontinuity_seq
        assert 0 <= after.start - before.end <= (1024 * HZ // 48_000 if cut else 0)


@pytest.mark.parametrize("track", [VIDEO, AUDIO])
def test_parts_keep_coming_when_the_publisher_is_lost(track: str) -> None:
    harness = on_air()
    harness.lose()
    harness.wait(8)
    assert harness.program.state is ProgramState.RECONNECTING
    parts = harness.parts(track)
    check_cadence(parts)
    check_continuous(parts)
    slate = slate_of(harness, track)
    assert len(slate) >= 8 * 5 - 2
    assert {part.discontinuity_seq for part in slate} == {1}
    # It follows the wall clock.
    assert abs(parts[-1].end / (HZ if track == VIDEO else 48_000) - 11) < 0.25


def test_picture_and_sound_have_the_same_parts_and_segments() -> None:
    harness = on_air()
    harness.lose()
    harness.wait(8)
    video, audio = slate_of(harness), slate_of(harness, AUDIO)
    assert [(part.msn, part.last, part.at) for part in video] == [
        (part.msn, part.last, part.at) for part in audio
    ]
    assert all(len(part.units) == 1 for part in video)
    assert {len(part.units) for part in audio} == {9}


def test_the_picture_is_the_last_one_that_was_whole() -> None:
    harness = on_air(seconds=2)
    other = encoded("h264-cabac").units[8].data
    second = [replace(unit, data=other) for unit in media(0.1, start=2, audio=False)]
    broken = [replace(unit, data=KEY, damaged=True) for unit in media(0.1, start=3, audio=False)]
    harness.send([*second, *broken])
    harness.lose()
    harness.wait(1)
    shown = {part.units[0].data for part in slate_of(harness)}
    assert len(shown) == 2
    assert all(data[:60] != KEY[:60] for data in shown)
    assert {len(data) for data in shown} <= {len(other) + n for n in range(-3, 4)}


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


def test_the_window_ends_the_programme_and_the_slate() -> None:
    harness = on_air(reconnect_window_s=5)
    harness.lose()
    harness.wait(9)
    assert harness.program.state is ProgramState.ENDED
    assert harness.items[-1] == ProgramEnd(final=True)
    assert harness.heard(Ended) == [Ended("the reconnect window passed")]
    assert harness.program.next_deadline() is None
    assert 7.7 * HZ < harness.parts()[-1].end < 8.1 * HZ


@pytest.mark.parametrize("final", [True, False])
def test_the_event_or_the_node_ends_the_slate(final: bool) -> None:
    harness = on_air()
    harness.lose()
    harness.wait(2)
    if final:
        harness.program.close("ended by request", harness.now, EPOCH + harness.now)
    else:
        harness.program.stop(harness.now, EPOCH + harness.now)
    assert harness.items[-1] == ProgramEnd(final=final)
    assert harness.program.next_deadline() is None


def test_sound_far_ahead_of_a_late_picture_leaves_no_hole() -> None:
    harness = Harness()
    harness.connect(formats=FORMATS)
    late = 90_000
    harness.send(
        replace(u, dts=u.dts - late, pts=u.pts - late) if u.track == VIDEO else u
        for u in coded(5, start=1)
    )
    harness.lose()
    harness.wait(3)
    for track, most in ((VIDEO, HZ // 4), (AUDIO, 0)):
        parts = harness.parts(track)
        (cut,) = [n for n, part in enumerate(parts) if part.slate][:1]
        assert parts[cut].start - parts[cut - 1].end <= most
        check_cadence(parts[cut + 6 :])
    harness.connect(2, FORMATS)
    harness.send(coded(1, start=9), publisher=2)
    back = next(part for part in harness.parts() if part.discontinuity_seq == 2)
    # The programme began a second after the test's clock.
    assert abs(back.start - 8 * HZ) <= 0.25 * HZ


@pytest.mark.parametrize("ends", ["lost", "over"])
@pytest.mark.parametrize("short_s", [0.02, 0.11, 0.5, 1.5])
def test_sound_that_stops_before_the_picture_is_silent_up_to_its_end(
    short_s: float, ends: str
) -> None:
    harness = Harness()
    harness.connect(formats=FORMATS)
    until = EPOCH + round((3.3 - short_s) * SECOND)
    harness.send(u for u in coded(3.3) if u.track == VIDEO or u.ingest_ns < until)
    if ends == "lost":
        harness.lose()
    else:
        harness.program.close("over", harness.now, EPOCH + harness.now)
    parts = [part for part in harness.parts(AUDIO) if part.discontinuity_seq == 0]
    cuts = [i for i in harness.items if isinstance(i, SegmentCut) and i.track == AUDIO]
    for cut in cuts[:2]:
        own = [part for part in parts if part.msn == cut.msn]
        assert sum(part.end - part.start for part in own) == cut.end - cut.start
    assert 3.3 * 48_000 <= parts[-1].end < 3.3 * 48_000 + 1024
    dts = [unit.dts for part in parts for unit in part.units]
    assert dts == [1024 * n for n in range(len(dts))]


def test_sound_alone_is_silent() -> None:
    harness = on_air([AAC], seconds=6)
    harness.lose()
    harness.wait(6)
    parts = harness.parts(AUDIO)
    check_continuous(parts)
    check_cadence(parts)
    assert len(slate_of(harness, AUDIO)) >= 27


def test_every_sound_is_silent_in_its_own_time() -> None:
    harness = Harness()
    german = replace(GERMAN, config=b"\x12\x10", timescale=44_100, sample_rate=44_100)
    harness.connect(formats=[PICTURE, AAC, german])
    harness.send(coded(3))
    harness.lose()
    harness.wait(6)
    for track, rate in ((AUDIO, 48_000), (german.track, 44_100)):
        parts = slate_of(harness, track)
        check_continuous(parts)
        assert all((part.end - part.start) / rate <= 0.215 for part in parts)
        assert all(part.last or (part.end - part.start) / rate >= 0.18 for part in parts)
        assert max(after.at - before.at for before, after in pairwise(parts)) <= PART


def test_the_companion_is_silent_too_and_its_clock_goes_on() -> None:
    harness = Harness()
    harness.connect(formats=[*FORMATS, OPUS])
    both = [
        each
        for unit in coded(3)
        for each in ([unit] if unit.track == VIDEO else [unit, *_packets(unit)])
    ]
    harness.send(both)
    harness.lose()
    harness.wait(3)
    heard = [item.unit for item in harness.items if isinstance(item, CompanionSample)]
    slate = [unit for unit in heard if unit.slate]
    assert len(slate) >= 140
    assert all(after.pts - before.pts == 960 for before, after in pairwise(slate))
    assert {unit.data for unit in slate} == {b"\xf8\xff\xfe"}
    assert slate[0].pts >= next(u.pts for u in reversed(heard) if not u.slate) + 480


def _packets(unit: Unit) -> Iterable[Unit]:
    yield replace(unit, track=COMPANION, data=b"\xf0")


def test_there_is_no_slate_without_a_picture() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3))
    harness.lose()
    harness.wait(5)
    assert slate_of(harness) == []
    assert harness.program.totals()["slate-frames"] == 0
    harness.connect(2)
    harness.send(media(3, start=8), publisher=2)
    back = next(s for s in harness.samples() if s.mark.discontinuity_seq == 1)
    assert back.unit.dts == 8 * HZ


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


def test_a_clock_that_stood_still_leaves_a_hole_and_no_flood() -> None:
    harness = on_air(reconnect_window_s=3600)
    harness.lose()
    harness.wait(1)
    before = len(slate_of(harness))
    harness.now += 600 * SECOND
    harness.poll()
    flood = slate_of(harness)[before:]
    assert len(flood) <= 17
    assert abs(flood[-1].end - 604 * HZ) < 0.25 * HZ
    harness.wait(2)
    check_cadence(slate_of(harness)[before + len(flood) :])


def test_a_programme_ahead_of_the_wall_clock_falls_back_to_it() -> None:
    harness = on_air(seconds=2)
    # Five seconds arrive at once, as from an encoder that sends what it had held back.
    early = [replace(u, ingest_ns=EPOCH + harness.now) for u in coded(5, start=2)]
    harness.program.publisher_units(1, early, harness.now, EPOCH + harness.now)
    harness.lose()
    ahead = harness.parts()[-1].end - harness.now * 9 // 100_000
    harness.wait(60)
    check_cadence(slate_of(harness))
    assert slate_of(harness)[-1].end - harness.now * 9 // 100_000 < ahead - 2 * HZ


def test_what_was_shown_is_counted_and_told() -> None:
    harness = on_air()
    harness.lose()
    harness.wait(3)
    assert harness.program.totals()["slate-frames"] == len(slate_of(harness))
    harness.connect(2, FORMATS)
    harness.send(coded(7, start=6), publisher=2)
    assert harness.program.totals()["slates"] == 1
    told = [event.code for event in harness.events if hasattr(event, "code")]
    assert told == ["slates"]


@pytest.mark.parametrize("part_target_ms", [150, 215, 334, 500, 1000])
@pytest.mark.parametrize("target_duration_s", [1, 2, 6])
@pytest.mark.parametrize("rate", [None, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_a_beat_is_one_legal_part(
    part_target_ms: int, target_duration_s: int, rate: int | None
) -> None:
    slate = Slate(part_target_ms, target_duration_s)
    slate.remember(Unit(VIDEO, 0, 0, True, KEY, 0, 0))
    formats = [PICTURE]
    if rate is not None:
        formats.append(replace(AAC, timescale=rate, sample_rate=rate))
    assert slate.begin(formats, 12_345, 0)
    beats = slate.poll(0, 12_345 + 2 * HZ, EPOCH)
    starts = [beat[-1].dts for beat in beats]
    assert len(starts) >= 1
    lengths = {after - before for before, after in pairwise(starts)}
    assert all(length <= part_target_ms * 90 for length in lengths)
    fits = rate is None or 1024 / rate < 0.15 * part_target_ms / 1000
    assert not fits or all(length >= 0.85 * part_target_ms * 90 - 1 for length in lengths)


def test_its_pictures_are_shown_as_much_later_as_those_of_the_publisher() -> None:
    slate = Slate(215, 2)
    slate.remember(Unit(VIDEO, 9000, 3000, True, KEY, 0, 0))
    slate.begin([PICTURE], 90_000, 0)
    (unit,) = slate.poll(0, 90_000 + 18_000, EPOCH)[0]
    assert (unit.dts, unit.pts) == (90_000, 96_000)


def test_sound_that_is_not_understood_is_left_out() -> None:
    slate = Slate(215, 2)
    assert slate.begin([replace(AAC, config=b"")], 0, 0) == ()
    assert not slate.on
    slate.remember(Unit(VIDEO, 0, 0, True, KEY, 0, 0))
    made = slate.begin([H264, replace(AAC, config=b"")], 0, 0)
    assert [format.track for format in made] == [VIDEO]
