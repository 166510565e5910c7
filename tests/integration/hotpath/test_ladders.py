"""The media process with a ladder: every rendition is listed, aligned and decodes."""

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import av
import psutil
import pytest

from infra.keys import ProgramKey
from tests.support.m3u8 import Playlist, SegmentTag
from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url

# A machine that is busy with other tests would trim the ladder, and be right.
pytestmark = [pytest.mark.integration, pytest.mark.alone]

RENDITIONS = ("360p", "240p")


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        yield process


def common(media: MediaProcess, key: ProgramKey, count: int) -> dict[str, Playlist]:
    """Playlists with so many segments each."""
    return {
        name: media.until(key, lambda playlist: len(whole(playlist)) >= count, name)
        for name in ("video", *RENDITIONS)
    }


def whole(playlist: Playlist) -> dict[datetime | None, SegmentTag]:
    """Segments that are no gap, by when they begin."""
    return {segment.date: segment for segment in playlist.segments if not segment.gap}


def size_of(data: bytes) -> tuple[int, int, int]:
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    return frames[0].width, frames[0].height, len(frames)


def ladder_child(media: MediaProcess) -> psutil.Process:
    children = psutil.Process(media.pid).children(recursive=True)
    return next(c for c in children if "hotpath.encode.ladder_worker" in c.cmdline())


def test_every_rendition_is_aligned_with_the_source_and_decodes(media: MediaProcess) -> None:
    wanted = event(renditions=RENDITIONS)
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted), size="640x360", gop=60):
        lists = common(media, key, 3)
        for name, height in (("360p", 360), ("240p", 240)):
            theirs, own = whole(lists["video"]), whole(lists[name])
            shared = [date for date in own if date in theirs]
            assert len(shared) >= 2
            for date in shared:
                a, b = theirs[date], own[date]
                assert a.duration == b.duration
                if a.parts and b.parts:  # older ones are no longer listed
                    assert [p.duration for p in a.parts] == [p.duration for p in b.parts]
                width, tall, frames = size_of(media.media(key, [b]))
                assert (tall, frames) == (height, 60)
                assert abs(width - height * 16 / 9) <= 2
        figures = media.get("/metrics").text
        for name in RENDITIONS:
            assert f'livepath_ladder_rungs{{rendition="{name}"}} 1.0' in figures
        multivariant = media.get(f"/live/{key}/index.m3u8").text
        for name in RENDITIONS:
            assert f"{name}.m3u8" in multivariant
    assert media.terminate() == 0
    assert media.troubles() == []


def test_a_killed_child_costs_a_gap_and_the_source_nothing(media: MediaProcess) -> None:
    wanted = event(renditions=("240p",))
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted), size="640x360", gop=60):
        media.until(key, lambda playlist: bool(whole(playlist)), "240p")
        ladder_child(media).kill()
        gap = media.until(key, lambda p: any(s.gap for s in p.segments[1:]), "240p")
        count = len(gap.segments)
        after = media.until(
            key, lambda p: len(p.segments) > count and not p.segments[-1].gap, "240p"
        )
        assert size_of(media.media(key, after.segments[-1:]))[1:] == (240, 60)
        source = media.playlist(key)
        assert source is not None
        assert not any(segment.gap for segment in source.segments)
        assert "livepath_ladder_restarts_total 1.0" in media.get("/metrics").text
    assert media.terminate() == 0
    assert media.troubles() == []
