"""The presets that an event can ask for."""

import pytest

from infra.keys import is_name
from infra.renditions import AUDIO_ONLY, MOST, NAMES, RUNGS, LadderRung, rungs_of


def test_presets_are_named_after_their_height_and_listed_from_the_tallest() -> None:
    assert [rung.name for rung in RUNGS.values()] == list(RUNGS)
    assert all(name == f"{rung.height}p" for name, rung in RUNGS.items())
    heights = [rung.height for rung in RUNGS.values()]
    bitrates = [rung.bitrate for rung in RUNGS.values()]
    assert heights == sorted(heights, reverse=True)
    assert bitrates == sorted(bitrates, reverse=True)


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        RUNGS["720p"] = LadderRung("720p", 720, 1)  # type: ignore[index]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_stand_in_an_object_key(name: str) -> None:
    assert is_name(name)


def test_audio_only_is_no_rung() -> None:
    assert AUDIO_ONLY in NAMES
    assert AUDIO_ONLY not in RUNGS
    assert rungs_of([AUDIO_ONLY]) == ()


def test_rungs_come_tallest_first_whatever_the_order_asked_for() -> None:
    assert rungs_of(["360p", AUDIO_ONLY, "720p"]) == (RUNGS["720p"], RUNGS["360p"])


def test_all_presets_cannot_be_asked_for_with_audio_only() -> None:
    assert len(NAMES) == MOST + 1
