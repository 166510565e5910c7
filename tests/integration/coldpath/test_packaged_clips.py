"""Exact clips of segments as a media node packages them, while it has written no manifest."""

from pathlib import Path

import pytest

from coldpath.media import vod
from coldpath.media.cut import Cut, cut
from coldpath.media.cut_check import check
from coldpath.media.live import LiveSession
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import Recording, recording
from coldpath.media.window import Window, within
from infra.storage.memory import MemoryObjectStore
from tests.support.coded import EPOCH_NS, FPS
from tests.support.packaged import KEY, packaged

pytestmark = pytest.mark.integration

FIRST, END = 42, 138
"""Pictures of the clip."""


def clip(store: MemoryObjectStore, path: Path) -> tuple[Recording, Cut]:
    window = Window(*(EPOCH_NS + n * 10**9 // FPS for n in (FIRST, END)))
    session = LiveSession(store, KEY, "i1", epoch_ns=EPOCH_NS, patient=True).read(window)
    assert session is not None
    found = within(recording([session]), window, beyond=1)
    inits = {key: store.get(key) for key in init_keys(found)}
    (piece,) = pieces(found, inits)
    out = cut(store, piece, window, renditions=archived(found), inits=inits, path=path)
    check(out.path, out.units, out.ends)
    return found, out


@pytest.mark.parametrize(
    ("video", "audio", "codecs", "encoded"),
    [
        ("h264", "aac", "avc1.42c00d,mp4a.40.2", 18),
        ("h264-b", "opus", "avc1.64000d,opus", 20),
        ("hevc", "aac", "hvc1.1.6.L60.90,mp4a.40.2", 96),
        ("h264", None, "avc1.42c00d", 18),
    ],
)
def test_a_clip_of_what_is_on_the_air(
    tmp_path: Path, video: str, audio: str | None, codecs: str, encoded: int
) -> None:
    found, out = clip(packaged(video, audio), tmp_path / "clip.mp4")
    assert out.copied + out.encoded == END - FIRST
    assert out.encoded == encoded
    assert float(out.duration) == (END - FIRST) / FPS
    assert f'CODECS="{codecs}"' in vod.playlists(found, "c")[vod.MULTIVARIANT]


def test_sound_alone(tmp_path: Path) -> None:
    _, out = clip(packaged(None, "aac"), tmp_path / "clip.mp4")
    assert list(out.units) == ["audio"]
    assert abs(float(out.duration) - (END - FIRST) / FPS) < 2 * 1024 / 48_000
