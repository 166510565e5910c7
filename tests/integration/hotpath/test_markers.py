"""Markers of the desired state on a media process: state, not messages, so no bus is needed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.events.desired import DesiredMarker
from infra.keys import ProgramKey
from tests.support.m3u8 import Playlist, attributes
from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url

pytestmark = pytest.mark.integration


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        yield process


def ranges(playlist: Playlist) -> dict[str, dict[str, str]]:
    tags = (attributes(value) for value in playlist.tags.get("#EXT-X-DATERANGE", []))
    return {tag["ID"]: tag for tag in tags}


def listing(media: MediaProcess, key: ProgramKey, marker: str) -> list[dict[str, str]]:
    """The marker's tag in each rendition, once all have it."""
    found = []
    for rendition in ("video", "audio"):
        playlist = media.until(key, lambda each: marker in ranges(each), rendition)
        found.append(ranges(playlist)[marker])
    return found


def test_markers_known_before_the_programme_opens_outlive_a_restart(media: MediaProcess) -> None:
    start_ms = time.time_ns() // 1_000_000 + 600_000
    given: dict[str, Any] = {"kind": "chapter", "title": 'On "air"', "data": {"number": 3}}
    chapter = DesiredMarker(id="mk_1", start_ms=start_ms, end_ms=start_ms + 1500, **given)
    wanted = event(markers=(chapter,))
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        before = listing(media, key, "mk_1")
    assert before[0] == before[1]
    assert before[0]["CLASS"] == "com.livepath.chapter"
    assert before[0]["X-COM-LIVEPATH-TITLE"] == "On 'air'"
    assert before[0]["X-COM-LIVEPATH-NUMBER"] == "3"
    media.kill()
    media.start()
    with encoding(srt_url(media, wanted)):
        assert listing(media, key, "mk_1") == before
    assert media.troubles() == []
