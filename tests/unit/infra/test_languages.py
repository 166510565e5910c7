"""ISO 639-2 to RFC 5646, and what a playlist says about several sounds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.audio_group import AudioRendition, audio_group
from infra.languages import NAMES, TAGS, language_name, language_tag
from tests.support.m3u8 import attributes


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("eng", "en", "English"),
        ("deu", "de", "German"),
        ("ger", "de", "German"),  # bibliographic
        ("FRA", "fr", "French"),
        ("fre", "fr", "French"),
        ("nob", "nb", "Norwegian Bokmål"),
        ("gsw", "gsw", ""),  # ISO 639 has no two letters for it
        ("qaa", "qaa", ""),  # private use: the original sound
        ("und", "", ""),
        ("mis", "", ""),
        ("   ", "", ""),
        ("\0\0\0", "", ""),
        ("en", "", ""),
        ('a"b', "", ""),
        ("ÄÖÜ", "", ""),
    ],
)
def test_codes_become_the_shortest_tag(code: str, tag: str, name: str) -> None:
    assert (language_tag(code), language_name(language_tag(code))) == (tag, name)


def test_the_table_is_that_of_iso_639_2() -> None:
    """184 languages have two letters, and 20 of them have a bibliographic code as well."""
    assert (len(NAMES), len(TAGS)) == (184, 204)
    assert set(TAGS.values()) == set(NAMES)


@given(st.text(max_size=6))
def test_a_tag_never_leaves_its_quotation_marks(code: str) -> None:
    assert re.fullmatch("[a-z]{2,3}|", language_tag(code))


def named(*renditions: AudioRendition) -> list[str]:
    return [attributes(line)["NAME"] for line in audio_group(renditions)]


def sound(language: str = "", *, describes_video: bool = False) -> AudioRendition:
    return AudioRendition("a.m3u8", 2, language, describes_video)


def test_sounds_are_named_by_their_language() -> None:
    assert named(sound("en"), sound("de"), sound()) == ["English", "German", "Audio 3"]


def test_names_are_there_once() -> None:
    described = sound("en", describes_video=True)
    assert named(sound("en"), sound("en"), described, described) == [
        "English", "English 2", "English (audio description)", "English (audio description) 4",
    ]  # fmt: skip


@given(st.lists(st.builds(AudioRendition, st.just("a"), language=st.sampled_from(["", "en"]),
                          describes_video=st.booleans()), max_size=4))  # fmt: skip
def test_there_is_one_default_and_no_name_twice(renditions: list[AudioRendition]) -> None:
    lines = [attributes(line) for line in audio_group(renditions)]
    assert [line["DEFAULT"] for line in lines] == ["YES", "NO", "NO", "NO"][: len(lines)]
    assert len({line["NAME"] for line in lines}) == len(lines)


def test_an_audio_description_says_what_it_is() -> None:
    plain, described = audio_group([sound("en"), sound("en", describes_video=True)])
    assert "CHARACTERISTICS" not in plain
    assert 'CHARACTERISTICS="public.accessibility.describes-video"' in described
