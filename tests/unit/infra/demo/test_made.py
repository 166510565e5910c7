import pytest

from infra.demo.made import Clip, Poster, clip_of


@pytest.mark.parametrize("frames", [1, 2, 30, 59, 240, 900, 54_000])
def test_a_clip_lies_inside_the_recording(frames: int) -> None:
    wanted = clip_of(frames, 30)
    assert 0 <= wanted.start <= wanted.stop <= frames
    assert len(wanted) == min(90, frames // 2)


def test_a_clip_begins_between_keyframes() -> None:
    # Key frames come once a second: whole groups are in it, and its edges are in two others.
    wanted = clip_of(900, 30)
    assert wanted.start % 30 == 10
    assert wanted.stop % 30 == 10


def test_a_clip_is_whole_or_says_what_is_wrong() -> None:
    wanted = range(10, 40)
    assert Clip(wanted, frozenset(wanted), 20, 10, 1.0).problems() == []
    moved = Clip(wanted, frozenset(range(11, 41)), 20, 10, 1.0)
    assert moved.problems() == [
        "the clip holds 30 pictures instead of 30: 1 are missing, 1 do not belong there"
    ]


def test_a_black_poster_is_none() -> None:
    assert Poster(1280, 720, 90.0).problems() == []
    assert Poster(1280, 720, 15.9).problems() == ["the poster is black"]
