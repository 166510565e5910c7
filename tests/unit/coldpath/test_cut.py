"""Exact cuts of real H.264, HEVC and AAC, read back by another demuxer than wrote the segments."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from coldpath.errors import DamagedMedia
from coldpath.media.cut import Cut, cut
from coldpath.media.cut_check import Ends, check
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.window import Window, within
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.session import EPOCH_NS, Session, Track, encode, session

KEY = ProgramKey("p", "e")
FPS = 25
FRAME = 3_600  # ticks of 90 kHz
S = 1_000_000_000


@cache
def plain() -> tuple[Track, Track]:
    """6 s without B-frames, a keyframe every second."""
    return encode(6.0, bframes=0, gop=FPS)


@cache
def reordered() -> tuple[Track, Track]:
    return encode(6.0, bframes=3, gop=FPS)


def made(sessions: list[Session], folder: Path, start: float, end: float) -> Cut:
    """The clip from `start` to `end`, seconds from the epoch, checked as the function does it."""
    store = MemoryObjectStore()
    for each in sessions:
        each.upload(store)
    window = Window(EPOCH_NS + round(start * S), EPOCH_NS + round(end * S))
    found = within(recording([s.manifest for s in sessions]), window, beyond=1)
    inits = {key: store.get(key) for key in init_keys(found)}
    (piece,) = pieces(found, inits)
    out = cut(
        store, piece, window, renditions=archived(found), inits=inits, path=folder / "clip.mp4"
    )
    check(out.path, out.units, out.ends)
    return out


@dataclass
class Shown:
    """What a player shows."""

    pictures: list[Any]
    times: list[int]


def shown(data: Any, **options: Any) -> Shown:
    with av.open(data, "r", **options) as container:
        frames: list[VideoFrame] = list(container.decode(video=0))
        return Shown([f.to_ndarray() for f in frames], [f.pts or 0 for f in frames])


class Stream:
    """A track as its encoder wrote it."""

    def __init__(self, track: Track) -> None:
        self._data = track.init + b"".join(f.data for f in track.fragments)

    def read(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def units(data: Any) -> list[bytes]:
    with av.open(data, "r") as container:
        return [bytes(p) for p in container.demux(video=0) if p.dts is not None]


def nearest(picture: Any, among: list[Any]) -> int:
    """Number of the picture that looks most like it."""
    apart = [np.abs(picture.astype(np.int16) - other).mean() for other in among]
    assert min(apart) < 6
    return int(np.argmin(apart))


def apart(picture: Any, other: Any) -> float:
    return float(np.abs(picture.astype(np.int16) - other).mean())


@pytest.mark.parametrize("tracks", [plain, reordered])
def test_edges_are_encoded_and_the_middle_is_copied(tracks: Any, tmp_path: Path) -> None:
    video, audio = tracks()
    out = made([session(KEY, "i1", video, audio)], tmp_path, 1.4, 4.6)
    source, clip = shown(Stream(video)), shown(str(out.path))
    # 15 pictures of the second group, all of the next two, and some of the fifth.
    assert len(clip.pictures) == 80
    assert out.copied + out.encoded == 80
    assert out.copied >= 50
    assert out.reason == ""
    assert clip.times == [n * FRAME for n in range(80)]
    for n in (0, 14, 15, 40, 64, 65, 79):
        assert nearest(clip.pictures[n], source.pictures[30:120]) == n + 5
    for n in range(15, 65):
        assert np.array_equal(clip.pictures[n], source.pictures[35 + n])
    copied, recorded = units(str(out.path)), units(Stream(video))
    assert copied[15:65] == recorded[50:100]


def test_a_cut_without_b_frames_copies_the_beginning_of_the_last_group(tmp_path: Path) -> None:
    out = made([session(KEY, "i1", *plain())], tmp_path, 1.4, 4.6)
    assert (out.encoded, out.copied) == (15, 65)


def test_a_clip_on_keyframes_is_copied(tmp_path: Path) -> None:
    video, audio = reordered()
    out = made([session(KEY, "i1", video, audio)], tmp_path, 1.0, 3.0)
    assert (out.copied, out.encoded) == (50, 0)
    assert units(str(out.path)) == units(Stream(video))[25:75]


@pytest.mark.parametrize("tracks", [plain, reordered])
def test_a_clip_inside_one_group(tracks: Any, tmp_path: Path) -> None:
    video, audio = tracks()
    out = made([session(KEY, "i1", video, audio)], tmp_path, 2.2, 2.6)
    source, clip = shown(Stream(video)), shown(str(out.path))
    assert (out.copied, out.encoded) == (0, 10)
    assert [nearest(p, source.pictures[50:75]) for p in clip.pictures] == list(range(5, 15))
    assert max(apart(p, source.pictures[55 + n]) for n, p in enumerate(clip.pictures)) < 4


def test_one_picture(tmp_path: Path) -> None:
    out = made([session(KEY, "i1", *plain())], tmp_path, 2.2, 2.24)
    assert out.units["video"] == 1


def test_times_in_milliseconds_mean_the_picture_they_were_taken_from(tmp_path: Path) -> None:
    tracks = encode(3.0, bframes=0, gop=30, fps=30)
    # Picture 20 is at 666.667 ms, 31 at 1033.333 ms.
    out = made([session(KEY, "i1", *tracks)], tmp_path, 0.667, 1.033)
    assert out.units["video"] == 11


def test_sound_begins_with_the_frame_that_the_first_picture_falls_into(tmp_path: Path) -> None:
    video, audio = plain()
    out = made([session(KEY, "i1", video, audio)], tmp_path, 1.4, 4.6)
    with av.open(str(out.path)) as container:
        first = next(p for p in container.demux(audio=0) if p.dts is not None)
        assert first.pts is not None
        assert -1024 < first.pts <= 0
        assert (first.pts + round(1.4 * 48_000)) % 1024 == 0
        assert abs((container.streams.audio[0].duration or 0) - 3.2 * 48_000) < 2048
    with av.open(str(out.path)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(heard - 3.2 * 48_000) < 2048


def test_hevc_is_encoded_again(tmp_path: Path) -> None:
    video, audio = encode(3.0, gop=FPS, codec="libx265")
    out = made([session(KEY, "i1", video, audio)], tmp_path, 0.4, 2.6)
    source, clip = shown(Stream(video)), shown(str(out.path))
    assert (out.copied, out.encoded) == (0, 55)
    assert "hevc" in out.reason
    assert nearest(clip.pictures[0], source.pictures) == 10
    assert nearest(clip.pictures[-1], source.pictures) == 64
    with av.open(str(out.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_open_groups_are_encoded_again(tmp_path: Path) -> None:
    video, audio = encode(3.0, gop=FPS, bframes=3, open_gop=True)
    out = made([session(KEY, "i1", video, audio)], tmp_path, 0.4, 2.6)
    source, clip = shown(Stream(video)), shown(str(out.path))
    assert (out.copied, out.encoded) == (0, 55)
    assert "refers to the one before" in out.reason
    assert [nearest(p, source.pictures) for p in clip.pictures] == list(range(10, 65))


def test_a_gap_is_taken_out(tmp_path: Path) -> None:
    tracks = plain()
    first = session(KEY, "i1", *tracks, final=False)
    second = session(KEY, "i2", *tracks, start_s=60, first_msn=64, discontinuity_seq=1)
    out = made([first, second], tmp_path, 4.4, 61.6)
    clip, source = shown(str(out.path)), shown(Stream(tracks[0]))
    assert clip.times == [n * FRAME for n in range(80)]
    assert nearest(clip.pictures[39], source.pictures) == 149
    assert nearest(clip.pictures[40], source.pictures) == 0
    assert nearest(clip.pictures[79], source.pictures) == 39


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_programme_of_one_kind(tmp_path: Path, kind: str) -> None:
    track = next(t for t in plain() if t.kind == kind)
    out = made([session(KEY, "i1", track)], tmp_path, 1.4, 4.6)
    assert list(out.units) == [kind]
    assert abs(float(out.duration) - 3.2) < 0.05


def test_the_index_comes_first_and_the_track_is_avc1(tmp_path: Path) -> None:
    data = made([session(KEY, "i1", *plain())], tmp_path, 1.4, 4.6).path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert data.count(b"avc1", data.index(b"stsd"), data.index(b"mdat")) == 1
    assert b"avc3" not in data


class TestCheck:
    def test_another_first_or_last_picture_is_found(self, tmp_path: Path) -> None:
        out = made([session(KEY, "i1", *plain())], tmp_path, 1.4, 4.6)
        wrong = np.full((36, 64), 255, dtype=np.int16)
        with pytest.raises(DamagedMedia, match="the first picture is another one"):
            check(out.path, out.units, Ends(wrong, out.ends.last, out.ends.last_at))
        with pytest.raises(DamagedMedia, match="the last picture is another one"):
            check(out.path, out.units, Ends(out.ends.first, wrong, out.ends.last_at))

    def test_a_picture_less_is_found(self, tmp_path: Path) -> None:
        out = made([session(KEY, "i1", *plain())], tmp_path, 1.4, 4.6)
        with pytest.raises(DamagedMedia, match="holds access units"):
            check(out.path, {**out.units, "video": 79}, out.ends)
        with pytest.raises(DamagedMedia, match="the last picture is at"):
            check(out.path, out.units, Ends(out.ends.first, out.ends.last, out.ends.last_at * 2))

    @pytest.mark.parametrize("way", ["joined", "encoded"])
    @pytest.mark.parametrize("off", [-1, 1])
    def test_a_cut_that_is_off_by_one_picture_is_found(
        self, tmp_path: Path, way: str, off: int
    ) -> None:
        tracks = plain() if way == "joined" else encode(6.0, gop=FPS, codec="libx265")
        recorded = [session(KEY, "i1", *tracks)]
        out = made(recorded, tmp_path, 1.4, 4.6)
        other = made(recorded, tmp_path, 1.4 + off / FPS, 4.6 + off / FPS)
        wanted = out.ends
        assert (len(wanted.beside_first), len(wanted.beside_last)) == (2, 2)
        check(other.path, other.units, other.ends)
        with pytest.raises(DamagedMedia, match="the first picture is the one beside"):
            check(other.path, other.units, wanted)
        first_is_right = replace(wanted, first=other.ends.first, beside_first=())
        with pytest.raises(DamagedMedia, match="the last picture is the one beside"):
            check(other.path, other.units, first_is_right)

    @pytest.mark.parametrize(
        "picture",
        [
            "color=c=gray:size=320x180:rate=25:duration=4",
            # Two grey levels from picture to picture, and one in two pictures.
            "color=c=white:size=320x180:rate=25:duration=4,fade=out:st=0:d=4",
            "color=c=white:size=320x180:rate=25:duration=4,fade=out:st=0:d=20",
            # Noise in every picture over one that stands still.
            "color=c=gray:size=320x180:rate=25:duration=4,noise=alls=20:allf=t",
        ],
    )
    @pytest.mark.parametrize("codec", ["libx264", "libx265"])
    def test_pictures_that_hardly_differ_are_not_taken_for_each_other(
        self, tmp_path: Path, picture: str, codec: str
    ) -> None:
        tracks = encode(4.0, bframes=0, gop=FPS, codec=codec, picture=picture)
        out = made([session(KEY, "i1", *tracks)], tmp_path, 0.4, 2.6)
        assert out.units["video"] == 55
        assert out.ends.beside_first
