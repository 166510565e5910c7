"""The object-key grammar: what is formatted parses back, and nothing else parses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.keys import InitKey, ManifestKey, ProgramKey, SegmentKey, VodKey, is_name, parse

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)
programs = st.builds(ProgramKey, names, names, names)
keys = st.one_of(
    st.builds(SegmentKey, programs, names, names, st.integers(0, 10**12 - 1)),
    st.builds(InitKey, programs, names, names, st.integers(0, 10**6 - 1)),
    st.builds(ManifestKey, programs, names),
    st.builds(
        VodKey, programs, names, st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
    ),
)


@given(keys)
def test_a_key_parses_back_to_itself(key: SegmentKey | InitKey | ManifestKey | VodKey) -> None:
    assert parse(str(key)) == key


@given(st.text(max_size=120))
def test_whatever_parses_is_spelled_in_one_way_only(text: str) -> None:
    key = parse(text)
    assert key is None or str(key) == text


@pytest.mark.parametrize(
    "text",
    [
        "live/p/e/main/i/video/s01.m4s",
        "live/p/e/main/i/video/s1.m4s/",
        "live/p/e/main/i/video/s1.m4s\n",
        "live/p/../main/i/video/s1.m4s",
        "live/P/e/main/i/video/s1.m4s",
        "live/p/e/main/i/video/s-1.m4s",
        "live/p/e/main/i/manifest.json.tmp",
        "vod/p/e/main/c/../x",
        "vod/p/e/main/c/.hidden",
    ],
)
def test_look_alikes_do_not_parse(text: str) -> None:
    assert parse(text) is None


@given(names, st.characters(blacklist_characters="abcdefghijklmnopqrstuvwxyz0123456789_-"))
def test_a_foreign_character_makes_no_name(name: str, foreign: str) -> None:
    assert is_name(name)
    assert not is_name(name[:10] + foreign)
    with pytest.raises(ValueError, match="no program key"):
        ProgramKey("p", foreign + name[:10])


def test_a_prefix_is_a_tenant() -> None:
    assert str(ManifestKey(ProgramKey("acme", "ev_1"), "i1")).startswith("live/acme/ev_1/main/")
