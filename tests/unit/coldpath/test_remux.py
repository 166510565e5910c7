"""Remuxing real H.264 and AAC, read back by another demuxer than wrote the segments."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from coldpath.errors import DamagedMedia
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.remux import Remuxed, remux
from coldpath.media.verify import verify
from infra.errors import ObjectMissing, StorageError
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.session import Session, Track, encode, session

KEY = ProgramKey("p", "e")
Times = list[tuple[int, int]]


def made(sessions: list[Session], folder: Path) -> list[Remuxed]:
    """The MP4s of these incarnations."""
    store = MemoryObjectStore()
    for each in sessions:
        each.upload(store)
    return remuxed(store, sessions, folder)


def remuxed(store: MemoryObjectStore, sessions: list[Session], folder: Path) -> list[Remuxed]:
    found = recording([s.manifest for s in sessions])
    inits = {key: store.get(key) for key in init_keys(found)}
    return [
        remux(store, piece, renditions=archived(found), inits=inits, path=folder / piece.name)
        for piece in pieces(found, inits)
    ]


def times(path: Path, kind: str) -> Times:
    """(dts, pts) of every access unit."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (p.dts, p.pts)
            for p in container.demux(stream)
            if p.dts is not None and p.pts is not None
        ]


def frames(path: Path, kind: str) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(**{kind: 0}))


def test_every_access_unit_is_kept_and_decodes(tmp_path: Path) -> None:
    whole = session(KEY, "i1", *encode(), start_s=1_000)
    (out,) = made([whole], tmp_path)
    assert out.units == {"video": 100, "audio": whole.samples("audio")}
    assert frames(out.path, "video") == 100
    assert frames(out.path, "audio") == whole.samples("audio")
    assert verify(out.path, out.units).units == out.units


def test_the_index_comes_first(tmp_path: Path) -> None:
    (out,) = made([session(KEY, "i1", *encode())], tmp_path)
    data = out.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_file_that_left_too_little_room_for_its_index_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (usual,) = made([session(KEY, "i1", *encode())], tmp_path)
    monkeypatch.setattr("coldpath.media.remux._HEADERS", -2_000)
    (tmp_path / "tight").mkdir()
    (tight,) = made([session(KEY, "i1", *encode())], tmp_path / "tight")
    assert verify(tight.path, tight.units).units == usual.units
    assert [times(tight.path, k) for k in usual.units] == [
        times(usual.path, k) for k in usual.units
    ]
    data = tight.path.read_bytes()
    assert usual.path.read_bytes().endswith(data[data.index(b"mdat") + 4 :])
    assert list((tmp_path / "tight").iterdir()) == [tight.path]


def test_a_programme_that_began_long_ago_starts_at_zero(tmp_path: Path) -> None:
    (out,) = made([session(KEY, "i1", *encode(), start_s=86_400)], tmp_path)
    with av.open(str(out.path)) as container:
        assert container.start_time == 0
        assert abs(Fraction(container.duration or 0, av.time_base) - out.duration) < Fraction(1, 20)


def test_decode_order_of_reordered_frames_is_kept(tmp_path: Path) -> None:
    video, audio = encode(bframes=2)
    (out,) = made([session(KEY, "i1", video, audio)], tmp_path)
    found = times(out.path, "video")
    assert any(dts != pts for dts, pts in found)
    # The distance of both clocks is what the encoder made it, for each frame.
    with av.open(_Stream(video), "r") as container:
        original = [(p.dts, p.pts) for p in container.demux() if p.dts is not None]
    assert [pts - dts for dts, pts in found] == [int(p or 0) - int(d or 0) for d, p in original]


class _Stream:
    """A track as its encoder wrote it."""

    def __init__(self, track: Track) -> None:
        self._data = track.init + b"".join(f.data for f in track.fragments)

    def read(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def test_a_restart_after_a_pause_goes_on_without_a_gap(tmp_path: Path) -> None:
    first = session(KEY, "i1", *encode(), final=False)
    second = session(
        KEY, "i2", *encode(), start_s=60, first_msn=64, discontinuity_seq=1, previous=["i1"]
    )
    (out,) = made([first, second], tmp_path)
    found = times(out.path, "video")
    assert len(found) == 200
    shown = sorted(pts for _, pts in found)
    steps = {b - a for a, b in itertools.pairwise(shown)}
    # One step, over the join, is longer: by less than an audio frame and a video frame.
    assert len(steps) == 2
    assert max(steps) - min(steps) < 90_000 // 25 + 90_000 * 1024 // 48_000
    assert frames(out.path, "video") == 200
    assert float(out.duration) < 8.5


def test_a_segment_that_was_not_recorded_is_left_out(tmp_path: Path) -> None:
    tracks = encode(6.0)
    holed = session(KEY, "i1", *tracks, drop={"video": {1}, "audio": {1}})
    (out,) = made([holed], tmp_path)
    assert out.units == {"video": 100, "audio": holed.samples("audio")}
    assert 3.9 < float(out.duration) < 4.4
    dts = [d for d, _ in times(out.path, "video")]
    assert dts == sorted(set(dts))


def test_missing_sound_leaves_the_picture_where_it_is(tmp_path: Path) -> None:
    silent = session(KEY, "i1", *encode(6.0), drop={"audio": {1}})
    (out,) = made([silent], tmp_path)
    shown = sorted(pts for _, pts in times(out.path, "video"))
    assert {b - a for a, b in itertools.pairwise(shown)} == {3_600}


def test_another_resolution_starts_another_file(tmp_path: Path) -> None:
    first = session(KEY, "i1", *encode(), final=False)
    second = session(KEY, "i2", *encode(size="160x90"), start_s=60, discontinuity_seq=1)
    outs = made([first, second], tmp_path)
    assert [out.path.name for out in outs] == ["archive.mp4", "archive-1.mp4"]
    assert [frames(out.path, "video") for out in outs] == [100, 100]
    with av.open(str(outs[1].path)) as container:
        assert container.streams.video[0].width == 160
        assert container.start_time == 0


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_programme_of_one_kind(tmp_path: Path, kind: str) -> None:
    track = next(t for t in encode() if t.kind == kind)
    (out,) = made([session(KEY, "i1", track)], tmp_path)
    assert out.units == {kind: track.samples}
    assert frames(out.path, kind) == track.samples


class TestBadInput:
    def test_a_segment_shorter_than_its_manifest_says(self, tmp_path: Path) -> None:
        whole = session(KEY, "i1", *encode())
        key = next(k for k in whole.objects if k.endswith("video/s1.m4s"))
        whole.objects[key] = whole.objects[key][: len(whole.objects[key]) // 2]
        with pytest.raises(DamagedMedia, match=r"the manifest lists 100 access units"):
            made([whole], tmp_path)

    def test_a_segment_of_garbage(self, tmp_path: Path) -> None:
        whole = session(KEY, "i1", *encode())
        for key in whole.objects:
            if key.endswith(".m4s"):
                whole.objects[key] = b"\x00garbage" * 100
        with pytest.raises(DamagedMedia):
            made([whole], tmp_path)

    def test_an_init_section_of_garbage(self, tmp_path: Path) -> None:
        whole = session(KEY, "i1", *encode())
        for key in whole.objects:
            if key.endswith("init-0.mp4"):
                whole.objects[key] = b"garbage"
        with pytest.raises(DamagedMedia):
            made([whole], tmp_path)

    @pytest.mark.parametrize("error", [ObjectMissing("gone"), StorageError("away")])
    def test_a_store_that_fails_is_not_damaged_media(
        self, tmp_path: Path, error: StorageError
    ) -> None:
        class Failing(MemoryObjectStore):
            def get(self, key: str) -> bytes:
                if key.endswith("video/s1.m4s"):
                    raise error
                return super().get(key)

        store = Failing()
        whole = session(KEY, "i1", *encode())
        whole.upload(store)
        with pytest.raises(StorageError, match=str(error)):
            remuxed(store, [whole], tmp_path)

    def test_a_file_that_lacks_units_is_not_verified(self, tmp_path: Path) -> None:
        (out,) = made([session(KEY, "i1", *encode())], tmp_path)
        with pytest.raises(DamagedMedia, match="holds access units"):
            verify(out.path, {**out.units, "video": 101})
        (tmp_path / "bad.mp4").write_bytes(out.path.read_bytes()[:2000])
        with pytest.raises(DamagedMedia, match="holds access units"):
            verify(tmp_path / "bad.mp4", out.units)
        (tmp_path / "text.mp4").write_bytes(b"no MP4 at all")
        with pytest.raises(DamagedMedia, match="does not decode"):
            verify(tmp_path / "text.mp4", out.units)


def test_memory_holds_a_few_segments_only(tmp_path: Path) -> None:
    class Counting(MemoryObjectStore):
        ahead = 0
        most = 0

        def get(self, key: str) -> bytes:
            if key.endswith(".m4s"):
                self.ahead += 1
                self.most = max(self.most, self.ahead)
            return super().get(key)

    store = Counting()
    parts = [session(KEY, "i1", *encode(), start_s=4.0 * n, first_msn=2 * n) for n in range(10)]
    whole = parts[0]
    renditions = []
    for number, rendition in enumerate(whole.manifest.renditions):
        entries = [e for p in parts for e in p.manifest.renditions[number].segments]
        renditions.append(rendition.model_copy(update={"segments": tuple(entries)}))
    whole.manifest = whole.manifest.model_copy(update={"renditions": tuple(renditions)})
    for part in parts:
        whole.objects.update(part.objects)
    whole.upload(store)
    found = recording([whole.manifest])
    inits = {key: store.get(key) for key in init_keys(found)}
    (piece,) = pieces(found, inits)
    behind: list[int] = []

    def report(units: int) -> None:
        behind.append(store.ahead)

    remux(
        store,
        piece,
        renditions=archived(found),
        inits=inits,
        path=tmp_path / "a.mp4",
        report=report,
    )
    # 40 segments; after the first 256 units (5 s of media) only what lies just ahead was fetched.
    assert store.ahead == 40
    assert behind[0] <= 20
