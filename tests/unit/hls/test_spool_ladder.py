"""A ladder in the recording: everything is kept, and the archive is still that of the source."""

import asyncio
from pathlib import Path

import pytest

from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.remux import remux
from coldpath.media.verify import verify
from hotpath.bus.stream import ProgramStream
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.packager import Packager
from hotpath.media.unit import AUDIO, VIDEO
from infra.manifest import SessionManifest
from infra.storage.memory import MemoryObjectStore
from tests.support.coded import coded, marked
from tests.support.rungs import with_rungs
from tests.support.spool import KEY, Node, manifest, msns, open_session

RUNGS = ("720p", "360p")


@pytest.fixture
async def kept(tmp_path: Path) -> SessionManifest:
    """What the spool kept of four seconds with two rungs."""
    node = Node(tmp_path)
    live = HlsOrigin().open(KEY, "m1", access="public", part_target_ms=215, target_duration_s=1)
    stream = ProgramStream(KEY, "m1")
    packager = Packager(
        stream, live, open_session(node.spool), None, part_target_ms=215, target_duration_s=1
    )
    stream.publish(with_rungs(marked(coded(seconds=4), target_duration_s=1), *RUNGS))
    await asyncio.wait_for(packager.run(), 30)
    assert node.spool.close(10)
    assert node.told == []
    return manifest(tmp_path)


def store_of(folder: Path) -> MemoryObjectStore:
    """The spool's files as the uploader would have put them."""
    store = MemoryObjectStore()
    for path in folder.rglob("*.m*"):
        if path.suffix in (".m4s", ".mp4"):
            store.put(str(path.relative_to(folder)), path.read_bytes(), "video/mp4")
    return store


async def test_every_rendition_is_recorded_with_the_same_segments(kept: SessionManifest) -> None:
    assert {entry.name for entry in kept.renditions} == {VIDEO, AUDIO, *RUNGS}
    for entry in kept.renditions:
        assert msns(kept, entry.name) == [0, 1, 2, 3]
        assert entry.holes == ()
    heights = {entry.name: entry.height for entry in kept.renditions}
    assert heights == {VIDEO: 180, AUDIO: 0, "720p": 720, "360p": 360}


async def test_the_archive_has_the_sources_picture_and_sound(
    kept: SessionManifest, tmp_path: Path
) -> None:
    whole, store = recording([kept]), store_of(tmp_path)
    renditions = archived(whole)
    assert [rendition.name for rendition in renditions] == [VIDEO, AUDIO]
    inits = {key: store.get(key) for key in init_keys(whole)}
    (piece,) = pieces(whole, inits)
    path = tmp_path / "archive.mp4"
    made = remux(
        store, piece, renditions=renditions, inits=inits, path=path, report=lambda _units: None
    )
    source = coded(seconds=4)
    assert made.units == {track: len(source.track(track)) for track in (VIDEO, AUDIO)}
    verify(path, made.units)
