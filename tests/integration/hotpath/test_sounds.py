"""A source with two languages, from ffmpeg to players and to the archive's playlist."""

import io
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from coldpath.media import vod
from coldpath.media.recording import recording
from tests.support.m3u8 import Playlist, attributes
from tests.support.media import Recipe, make_ts, publishing
from tests.support.medianode import MediaProcess, event, key_of, srt_url

pytestmark = pytest.mark.integration

TONES = {"audio": 440, "audio-2": 1000}
SPOKEN = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu")
BILINGUAL = Recipe(
    size="320x180", seconds=8, bitrate="400k", tones=tuple(TONES.values()),
    audio=("-c:a", "aac", "-b:a", "96k", *SPOKEN),
)  # fmt: skip


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        yield process


def sounds(multivariant: str) -> list[tuple[str, str, str, str]]:
    lines = [line for line in multivariant.splitlines() if line.startswith("#EXT-X-MEDIA:")]
    found = [attributes(line) for line in lines]
    assert {each["GROUP-ID"] for each in found} == {"audio"}
    return [(each["URI"], each["NAME"], each["LANGUAGE"], each["DEFAULT"]) for each in found]


EXPECTED = [("audio.m3u8", "English", "en", "YES"), ("audio-2.m3u8", "German", "de", "NO")]


def listed(playlist: Playlist) -> bool:
    return len(playlist.segments) >= 2


def hertz(data: bytes) -> float:
    """Of a tone: half the times that its wave passes zero in a second."""
    samples = array("f")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
        rate = stream.rate
    heard = samples[rate // 10 :]  # behind the encoder's priming
    crossings = sum((a < 0) != (b < 0) for a, b in pairwise(heard))
    return crossings * rate / len(heard) / 2


def test_two_languages_from_srt_to_the_archive(media: MediaProcess, tmp_path: Path) -> None:
    wanted = event(target_duration_s=1)
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    source = make_ts(tmp_path / "bilingual.ts", BILINGUAL)
    with publishing(source, srt_url(media, wanted)):
        first, second = (media.until(key, listed, name) for name in TONES)
        assert sounds(media.get(f"/live/{key}/index.m3u8").text) == EXPECTED
        for one, other in zip(first.segments[1:2], second.segments[1:2], strict=True):
            assert (one.msn, one.date, one.duration) == (other.msn, other.date, other.duration)
            assert [part.duration for part in one.parts] == [part.duration for part in other.parts]
            assert len(one.parts) >= 4
        for name, playlist in zip(TONES, (first, second), strict=True):
            heard = hertz(media.media(key, playlist.segments[:2]))
            assert heard == pytest.approx(TONES[name], rel=0.02)
        assert media.terminate() == 0
    incarnation = (first.segments[0].map or "").split("/")[-3]
    recorded = recording([media.manifest(key, incarnation)])
    assert sounds(vod.playlists(recorded, "c")[vod.MULTIVARIANT]) == EXPECTED
    numbers = [[segment.entry.msn for segment in recorded.runs[0].of(name)] for name in TONES]
    assert numbers[0] == numbers[1]
    assert numbers[0][:2] == [0, 1]
    assert media.troubles() == []
