"""The demo's player against a small real-time origin over HTTP."""

import asyncio
import time
from pathlib import Path

import pytest

from infra.demo.errors import MediaError
from infra.demo.player import Player, Viewing
from tests.support.llhls import FPS, HOLD_BACK_S, Media, Origin, make_media

SECONDS = 5

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    return make_media(Path(tmp_path_factory.mktemp("media")), SECONDS)


async def view(origin: Origin, *, join_after_s: float) -> Viewing:
    await asyncio.sleep(max(0.0, origin.start_s + join_after_s - time.time()))
    return await Player(origin.url).watch()


def delays_ms(viewing: Viewing, origin: Origin) -> list[float]:
    """Behind the moment each frame was live; the fixture's stamps count from 0."""
    return [
        frame.shown_ns / 1e6 - origin.start_s * 1e3 - frame.stamp.unix_ms
        for frame in viewing.shown
        if frame.stamp
    ]


async def test_plays_to_the_last_frame_with_hold_back_by_blocking_reloads(
    media: dict[str, Media],
) -> None:
    async with Origin(media) as origin:
        viewing = await view(origin, join_after_s=2.1)
        delays = delays_ms(viewing, origin)
    indices = [frame.stamp.index for frame in viewing.shown if frame.stamp]
    assert indices == list(range(indices[0], origin.frames))
    assert viewing.hold_back_ms == round(HOLD_BACK_S * 1000)
    # At least the hold-back behind the end of the playlist, which lags by less than a part.
    assert min(delays) >= HOLD_BACK_S * 1000 - 1000 / FPS
    assert viewing.skipped_parts == 0
    parts = [x for x in origin.requests if "video-" in x and "init" not in x]
    reloads = [x for x in origin.requests if "video.m3u8?" in x]
    assert len(parts) == len(set(parts))
    assert reloads
    assert all("_HLS_msn=" in x and "_HLS_part=" in x for x in reloads)


async def test_late_part_is_a_stall_that_moves_the_clock(media: dict[str, Media]) -> None:
    async with Origin(media) as origin:
        # Part 10 ends 3.52 s after the start; a hold-back of 0.96 s cannot hide 3.5 s,
        # even in a player that a busy machine made late.
        origin.hold_until["video-10.mp4"] = origin.start_s + 3.52 + 3.5
        viewing = await view(origin, join_after_s=2.1)
        delays = delays_ms(viewing, origin)
    longest = max(viewing.stalls, key=lambda stall: stall.duration_ns)
    assert longest.duration_ns > 0.3e9
    assert round(longest.media_ns * FPS / 1e9) == 10 * 8
    # What came after is that much later than what came before.
    assert delays[-1] - delays[0] > 300


async def test_picture_waits_for_late_audio(media: dict[str, Media]) -> None:
    async with Origin(media) as origin:
        origin.hold_until["audio-10.mp4"] = origin.start_s + 3.52 + 3.5
        viewing = await view(origin, join_after_s=2.1)
    assert max(stall.duration_ns for stall in viewing.stalls) > 0.3e9
    assert viewing.shown[-1].stamp is not None
    assert viewing.shown[-1].stamp.index == origin.frames - 1


async def test_missing_stream_says_which_url_and_why(
    media: dict[str, Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.demo.rendition.RETRY_S", 0.0)
    async with Origin(media) as origin:
        url = origin.url.replace("index", "nothing")
        with pytest.raises(MediaError, match=r"nothing\.m3u8 failed: status 404"):
            await Player(url).watch()
