import io

import pytest
from PIL import Image

from infra.demo.errors import DemoError
from infra.demo.made import Clip, Poster, Recording, Storyboard, clip_of, read_storyboard


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


def sheet(*, dark: bool = False) -> bytes:
    picture = Image.new("RGB", (64, 18), (90, 120, 90))
    if dark:
        picture.paste((0, 0, 0), (32, 0, 64, 18))
    data = io.BytesIO()
    picture.save(data, "JPEG")
    return data.getvalue()


def storyboard(*places: str) -> str:
    cues = "".join(
        f"\n00:00:{2 * n:02}.000 --> 00:00:{2 * n + 2:02}.000\nsheet-0.jpg#xywh={place}\n"
        for n, place in enumerate(places)
    )
    return "WEBVTT\n" + cues


def test_a_storyboards_pictures_are_where_it_says() -> None:
    text = storyboard("0,0,32,18", "32,0,32,18")
    found = read_storyboard(text, {"sheet-0.jpg": sheet()})
    assert found == Storyboard(2, 4.0, 0)
    assert found.problems() == []
    half = read_storyboard(text, {"sheet-0.jpg": sheet(dark=True)})
    assert half.problems() == ["1 pictures of the storyboard are black"]
    with pytest.raises(DemoError, match="has no picture at 48,0,32,18"):
        read_storyboard(storyboard("48,0,32,18"), {"sheet-0.jpg": sheet()})


@pytest.mark.parametrize(
    ("text", "data"), [("404", b""), ("WEBVTT\n", b""), (storyboard("0,0,9,9"), b"not a picture")]
)
def test_what_is_no_storyboard_is_said_to_be_none(text: str, data: bytes) -> None:
    with pytest.raises(DemoError):
        read_storyboard(text, {"sheet-0.jpg": data})


def test_the_page_shows_everything_or_says_what_it_lacks() -> None:
    told = {
        "status": "ready",
        "hls_url": "http://a/index.m3u8",
        "poster_url": "http://a/poster.jpg",
        "storyboard_url": "http://a/storyboard.vtt",
        "captions": ["en"],
        "downloads": [{}],
    }
    assert Recording.of(told).problems(captions=True) == []
    none = Recording.of({**told, "captions": []})
    assert none.problems(captions=False) == []
    assert none.problems(captions=True) == ["the recording's page has no captions"]
    early = Recording.of({**told, "status": "making", "hls_url": None})
    assert early.problems(captions=True) == [
        "the recording's page has no film",
        "the recording's page says that it is making",
    ]
