"""The slate by itself: each beat is one legal part of the formats it was given."""

from dataclasses import replace
from itertools import pairwise

import pytest

from hotpath.media.unit import VIDEO, Unit
from hotpath.program.slate import Slate
from tests.support.programme import EPOCH, H264, HZ
from tests.support.slates import AAC, KEY, PICTURE


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
