"""Playlists are read strictly and never fail to be read (4.1 to 4.4)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.attributes import parse_attributes
from conformance.reading import read_media
from conformance.variants import read_multivariant
from tests.support.observed import MULTIVARIANT, playlist

GOOD = playlist("video", 45)
TAGS = [line.partition(":")[0] for line in (GOOD + MULTIVARIANT).splitlines()]


def test_a_faultless_playlist_has_no_flaws() -> None:
    found = read_media(GOOD)
    assert not found.flaws
    assert found.edge == (11, 0)
    assert [segment.msn for segment in found.segments] == list(range(3, 11))
    assert found.segments[6].starts_discontinuity
    assert [segment.discontinuity for segment in found.segments] == [0] * 6 + [1] * 2
    assert found.segments[5].map == "video-init0.mp4"
    assert found.segments[-1].parts[1].uri == "video-10.1.m4s"
    assert found.hint() == "video-11.1.m4s"
    assert found.duration == 16
    assert not read_multivariant(MULTIVARIANT).flaws
    assert read_multivariant(MULTIVARIANT).uris == ("video.m3u8", "audio.m3u8")


def test_a_delta_update_goes_on_behind_what_it_skips() -> None:
    found = read_media(playlist("video", 38, skip="YES"))
    assert found.skipped == 2
    assert [segment.msn for segment in found.segments] == list(range(3, 9))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('A="x",A="y"', "twice"),
        ("A=1,,B=2", "cannot be read"),
        ("a=1", "cannot be read"),
        ('A="x', "cannot be read"),
        ("A=1,", "comma"),
    ],
)
def test_4_2_attribute_lists_that_are_wrong(text: str, words: str) -> None:
    assert words in parse_attributes(text)[1][0]


def test_a_flaw_says_where_it_is() -> None:
    (flaw,) = read_media(
        GOOD.replace("#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:2.5")
    ).flaws[:1]
    assert (flaw.section, flaw.line) == ("4.4.3.1", 3)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_media(text)
    read_multivariant(text)
    parse_attributes(text)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.tuples(st.sampled_from(TAGS), st.text(alphabet='AURI=",0.5-YES@\t', max_size=20)))
)
def test_any_mixture_of_tags_can_be_read(lines: list[tuple[str, str]]) -> None:
    text = "#EXTM3U\n" + "".join(f"{tag}:{value}\n" for tag, value in lines)
    found = read_media(text)
    assert found.duration >= 0
    assert found.edge
    read_multivariant(text)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, len(GOOD)), st.text(max_size=5), st.integers(0, 30))
def test_a_damaged_playlist_can_be_read(at: int, put: str, cut: int) -> None:
    found = read_media(GOOD[:at] + put + GOOD[at + cut :])
    assert len(found.flaws) <= 50
    assert list(found.parts) is not None
