"""Two publishers of one event on a real node: who fails, and what viewers get then."""

import io
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import pytest

from infra.auth.streamkeys import whip_token
from infra.publishers import Role
from tests.support.m3u8 import Playlist
from tests.support.media import ffmpeg
from tests.support.medianode import SECRET, MediaProcess, event, key_of, srt_url

pytestmark = pytest.mark.integration

EVENT = event(target_duration_s=1)
KEY = key_of(EVENT)
RED, BLUE = "red", "blue"
AAC = ("-c:a", "aac", "-f", "mpegts")
OPUS = ("-c:a", "libopus", "-ar", "48000", "-ac", "2", "-f", "whip")


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        process.want(EVENT)
        yield process.start()


@contextmanager
def showing(
    color: str, url: str, *output: str, size: str = "320x180"
) -> Iterator["subprocess.Popen[bytes]"]:
    """An encoder whose picture says whose it is."""
    picture, tone = f"color={color}:size={size}:rate=30", "sine=frequency=440:sample_rate=48000"
    process = subprocess.Popen(
        [
            *(ffmpeg(), "-v", "error", "-re", "-f", "lavfi", "-i", picture),
            *("-re", "-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "ultrafast"),
            *("-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p"),
            *("-g", "15", "-b:v", "300k", *(output or AAC), url),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stretch_with(count: int, discontinuity: int) -> Callable[[Playlist], bool]:
    """So many whole segments since this discontinuity."""
    return lambda found: (
        sum(segment.discontinuity == discontinuity for segment in found.segments) >= count
    )


def picture(media: MediaProcess, playlist: Playlist, discontinuity: int) -> tuple[str, int]:
    """What viewers see in this stretch: its colour, and how wide it is."""
    segments = [s for s in playlist.segments if s.discontinuity == discontinuity]
    with av.open(io.BytesIO(media.media(KEY, segments[:1]))) as container:
        frame = next(container.decode(video=0))
    red, _, blue = (float(frame.to_ndarray(format="rgb24")[..., n].mean()) for n in range(3))
    return RED if red > blue else BLUE, frame.width


def check_one_playlist(media: MediaProcess, first: Playlist, last: Playlist) -> None:
    """Numbers and dates go on; nothing began anew."""
    folders = {(s.map or "").rsplit("/", 2)[0] for s in (*first.segments, *last.segments)}
    assert len(folders) == 1
    numbers = [s.msn for s in last.segments]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(str(s.uri).endswith(f"s{s.msn}.m4s") for s in last.segments)
    kept = {s.msn: s for s in last.segments}
    assert all(kept[s.msn].uri == s.uri for s in first.segments if s.msn in kept)
    for before, after in pairwise(last.segments):
        assert before.date is not None
        assert after.date is not None
        assert before.date < after.date
    assert not [record for record in media.log if record.get("event") == "publisher.lost"]
    assert media.troubles() == []


def present(media: MediaProcess, *, primary: bool, backup: bool, active: Role) -> None:
    media.logged("publishers.present", primary=primary, backup=backup, active=active.value)


def test_the_backup_goes_on_and_the_primary_stands_by_when_it_is_back(media: MediaProcess) -> None:
    url, backup_url = (srt_url(media, EVENT, role) for role in Role)
    with showing(RED, url) as primary:
        media.until(KEY, stretch_with(1, 0))
        with showing(BLUE, backup_url) as backup:
            present(media, primary=True, backup=True, active=Role.PRIMARY)
            first = media.until(KEY, stretch_with(3, 0))
            primary.kill()
            killed = time.monotonic()
            media.logged("publisher.switched", to="backup", reason="silent")
            media.until(KEY, lambda found: bool(found.open.parts) and found.open.discontinuity == 1)
            assert time.monotonic() - killed < 10
            media.logged("standby.lost", place="primary", reason="connection-lost")
            with showing(RED, url):
                media.logged("publisher.connected", place="primary", count=2)
                media.logged("publishers.present", primary=True, backup=True, count=3)
                second = media.until(KEY, stretch_with(3, 1))
                backup.terminate()
                media.logged("publisher.switched", to="primary", reason="connection-lost")
                third = media.until(KEY, stretch_with(2, 2))
                figures = media.get("/metrics").text
    check_one_playlist(media, first, second)
    check_one_playlist(media, first, third)
    assert {s.discontinuity for s in third.segments} == {0, 1, 2}
    assert [picture(media, third, n)[0] for n in range(3)] == [RED, BLUE, RED]
    assert 'livepath_publisher_switches_total{reason="silent"} 1.0' in figures
    assert 'livepath_publisher_switches_total{reason="lost"} 1.0' in figures


def test_a_backup_by_whip_brings_its_own_format(media: MediaProcess) -> None:
    token = whip_token(SECRET, EVENT.id, EVENT.kid, EVENT.generation)
    whip = f"http://127.0.0.1:{media.http_port}/whip/{EVENT.id}?role=backup"
    with showing(RED, srt_url(media, EVENT)) as primary:
        first = media.until(KEY, stretch_with(1, 0))
        with showing(BLUE, whip, *OPUS, "-authorization", token, size="640x360"):
            present(media, primary=True, backup=True, active=Role.PRIMARY)
            media.until(KEY, stretch_with(4, 0))
            primary.terminate()
            media.logged("publisher.switched", to="backup")
            last = media.until(KEY, stretch_with(2, 1))
            sounds = media.until(KEY, stretch_with(2, 1), "audio")
    check_one_playlist(media, first, last)
    assert [picture(media, last, n) for n in range(2)] == [(RED, 320), (BLUE, 640)]
    assert {s.discontinuity for s in sounds.segments} == {0, 1}
