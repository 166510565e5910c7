"""Transcripts are the same if their words are, at nearly the same time."""

import json

import pytest

from tests.chaos.words import is_transcript, told_apart

KEY = "vod/p/e/main/c/captions.json"
SAID = {
    "language": "en",
    "words": [{"word": "hello", "start": 1.25, "end": 1.5, "probability": 0.9}],
    "count": 1,
}


def apart(wanted: object, there: object) -> list[str]:
    return list(
        told_apart(KEY, json.dumps(wanted).encode(), json.dumps(there).encode(), most_ms=50)
    )


def said(**more: object) -> dict[str, object]:
    return {**SAID, "words": [{**SAID["words"][0], **more}]}  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        (KEY, True),
        ("work/p/e/main/i1/captions/en-0.json", True),
        ("vod/p/e/main/c/transcript.txt", True),
        ("vod/p/e/main/c/index-captions.m3u8", False),
        ("vod/p/e/main/c/storyboard.vtt", False),
        ("work/p/e/main/i1/poster/p0.jpg", False),
        ("live/p/e/main/i1/manifest.json", False),
    ],
)
def test_which_objects_are_transcripts(key: str, is_one: bool) -> None:
    assert is_transcript(key) is is_one


def test_times_may_differ_a_little_and_so_may_what_the_model_thinks_of_it() -> None:
    assert apart(SAID, said(start=1.29, end=1.46, probability=0.88)) == []
    assert apart({"from_ms": 1250}, {"from_ms": 1300}) == []


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (said(start=1.31), "start is 1.31, not 1.25"),
        (said(word="hallo"), "word is 'hallo', not 'hello'"),
        (said(probability=0.5), "probability is 0.5, not 0.9"),
        ({**SAID, "count": 2}, "count is 2, not 1"),
        ({**SAID, "words": []}, "words is []"),
        ({"language": "en"}, "is {'language': 'en'}"),
    ],
)
def test_all_else_is_told(there: object, words: str) -> None:
    assert any(words in told for told in apart(SAID, there))


def test_a_cue_too_few_is_told() -> None:
    a = b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n\n01:00:02.000 --> 01:00:03.000\nthere\n"
    b = b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n"
    key = "vod/p/e/main/c/captions.vtt"
    assert list(told_apart(key, a, b, most_ms=50)) == ["it has 4 lines, not 7"]
    assert list(told_apart(key, a, a.replace(b"02.000 -->", b"02.051 -->"), most_ms=50)) == [
        "a cue is at 01:00:02.051, not at 01:00:02.000"
    ]
