"""The slate's sounds: silent, in their own time, as long as the picture."""

from collections.abc import Iterable
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
    SegmentCut,
    Unit,
)
from hotpath.program.options import SECOND
from tests.support.programme import EPOCH, GERMAN, HZ, Harness
from tests.support.slates import (
    AAC,
    FORMATS,
    PART,
    PICTURE,
    check_cadence,
    check_continuous,
    coded,
    on_air,
    slate_of,
)

OPUS = Format(COMPANION, Codec.OPUS, 48_000, b"OpusHead\1\2", "opus", frame_duration=960)


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
