"""The media process alone: SRT in, LL-HLS and spool out; control, database and bus are down."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.support.medianode import (
    MediaProcess,
    encoding,
    event,
    key_of,
    srt_url,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        yield process


def frames(data: bytes, kind: str) -> int:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.get(**{kind: 0})[0]
        return sum(1 for _ in container.decode(stream))


def test_srt_in_ll_hls_out(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        pictures = media.until(key, lambda playlist: len(playlist.segments) >= 2)
        sounds = media.until(key, lambda playlist: len(playlist.segments) >= 2, "audio")
        assert frames(media.media(key, pictures.segments[:2]), "video") == 120
        assert frames(media.media(key, sounds.segments[:2]), "audio") >= 180
        assert media.get("/readyz").status_code == 200
        assert media.get("/readyz").json()["checks"]["bus"] != "ok"
    assert media.terminate() == 0
    assert media.troubles() == []
