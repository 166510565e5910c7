"""The slate: what a programme shows by itself, and when that ends."""

from dataclasses import replace

import pytest

from hotpath.media.unit import AUDIO, VIDEO, ProgramEnd
from hotpath.program.options import SECOND
from hotpath.program.states import Ended, ProgramState
from tests.support.pictures import encoded
from tests.support.programme import EPOCH, HZ, Harness, media
from tests.support.slates import (
    FORMATS,
    KEY,
    check_cadence,
    check_continuous,
    coded,
    on_air,
    slate_of,
)


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
