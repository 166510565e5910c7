"""Posters and previews over a store in memory, with real media."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coldpath.errors import DamagedMedia, RetryLater
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.media.keyframes import coding, key_picture
from infra.keys import ProgramKey, SegmentKey
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, Track, encode, session

KEY = ProgramKey("p", "e")
FADED = (
    "color=black:320x180:25:d=4[a];testsrc2=320x180:25:d=2,boxblur=12[b];"
    "testsrc2=320x180:25:d=2[c];color=gray:320x180:25:d=2[d];"
    "[a][b][c][d]concat=n=4,format=yuv420p"
)
"""Black until 4 s, blurred until 6 s, sharp until 8 s, grey to the end."""


def faded() -> tuple[Track, Track]:
    return encode(10.0, picture=FADED)


def recorded(**changes: Any) -> Session:
    return session(KEY, "i1", *faded(), **changes)


def opened(store: CountingStore, key: str) -> Image.Image:
    return Image.open(io.BytesIO(store.get(key)))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def sharp() -> np.ndarray:
    """The first picture of the test card, as the sharp part of the programme begins with."""
    store = CountingStore()
    session(KEY, "x", *encode(2.0)).upload(store)
    folder = "live/p/e/main/x/video"
    init = store.get(f"{folder}/init-0.mp4")
    return key_picture(coding(init, "i"), store.get(f"{folder}/s0.m4s"), "s", 320).astype(int)


class TestWhole:
    def test_the_poster_is_neither_black_nor_blurred(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        whole = recorded()
        whole.upload(store)
        result = attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path)
        poster, preview = result.assets
        assert (poster.kind, poster.content_type) == ("poster", "image/jpeg")
        assert (preview.kind, preview.content_type) == ("preview", "image/webp")
        assert poster.detail == preview.detail == {"width": 320, "height": 180}
        assert result.outputs["keys"] == [poster.key, preview.key]
        image = opened(store, poster.key)
        assert (image.format, image.size) == ("JPEG", (320, 180))
        assert np.abs(pixels(image) - sharp()).mean() < 8

    def test_the_preview_moves_and_leaves_out_what_is_empty(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        whole = recorded()
        whole.upload(store)
        result = attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path)
        image = opened(store, result.assets[1].key)
        assert (image.format, image.size) == ("WEBP", (320, 180))
        assert getattr(image, "n_frames", 1) == 2
        frames = []
        for number in range(2):
            image.seek(number)
            frames.append(pixels(image))
        assert np.abs(frames[1] - sharp()).mean() < 12
        assert np.abs(frames[1] - frames[0]).mean() > 4
        assert result.assets[1].bytes < 60_000

    def test_a_rerun_finds_the_outputs_and_decodes_nothing(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        whole = recorded()
        whole.upload(store)
        first = attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path)
        store.gets.clear()
        assert attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path) == first
        assert store.segments_read() == []

    def test_a_black_programme_still_has_a_poster(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        black = encode(4.0, picture="color=black:320x180:25:d=4,format=yuv420p")
        whole = session(KEY, "i1", *black)
        whole.upload(store)
        result = attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path)
        assert pixels(opened(store, result.assets[0].key)).max() < 10

    def test_a_recording_of_which_nothing_decodes(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        whole = recorded()
        for key in list(whole.objects):
            if key.endswith(".m4s"):
                whole.objects[key] = whole.objects[key][:300]
        whole.upload(store)
        with pytest.raises(DamagedMedia, match="none of 5 key pictures decodes"):
            attempt("thumbnails", ledger, store, whole.manifest_key, tmp_path)

    def test_sound_alone_has_no_poster(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        heard = session(KEY, "i1", faded()[1])
        heard.upload(store)
        result = attempt("thumbnails", ledger, store, heard.manifest_key, tmp_path)
        assert (result.outputs, result.assets) == ({"skipped": "no picture was recorded"}, ())


class TestLive:
    def segment(self, msn: int) -> str:
        return str(SegmentKey(KEY, "i1", "video", msn))

    def test_every_fifth_segment_of_the_source_becomes_a_poster(self) -> None:
        function = load().get("poster-live")
        assert function is not None
        keys = [SegmentKey(KEY, "i1", name, n) for name in ("video", "720p") for n in range(11)]
        assert [str(key) for key in keys if function.wants(key)] == [
            self.segment(n) for n in (0, 5, 10)
        ]

    def test_a_segment_becomes_a_poster(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        made = session(KEY, "i1", *faded(), first_msn=2)  # s5 is sharp
        made.upload(store)
        result = attempt("poster-live", ledger, store, self.segment(5), tmp_path)
        (asset,) = result.assets
        assert asset.key == "work/p/e/main/i1/poster/p5.jpg"
        assert (asset.kind, asset.detail) == ("poster-live", {"width": 320, "height": 180})
        assert np.abs(pixels(opened(store, asset.key)) - sharp()).mean() < 8
        store.gets.clear()
        assert attempt("poster-live", ledger, store, self.segment(5), tmp_path) == result
        assert store.segments_read() == []

    def test_the_newest_init_section_is_used(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        made = session(KEY, "i1", *encode(2.0, size="640x360"))
        other = session(KEY, "i1", *faded())
        folder = "live/p/e/main/i1/video"
        store.put(f"{folder}/init-0.mp4", other.objects[f"{folder}/init-0.mp4"], "video/mp4")
        store.put(f"{folder}/init-1.mp4", made.objects[f"{folder}/init-0.mp4"], "video/mp4")
        store.put(f"{folder}/s5.m4s", made.objects[f"{folder}/s0.m4s"], "video/mp4")
        result = attempt("poster-live", ledger, store, self.segment(5), tmp_path)
        assert result.assets[0].detail == {"width": 640, "height": 360}

    @pytest.mark.parametrize("left", [10, 300])
    def test_a_damaged_segment_has_no_poster(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path, left: int
    ) -> None:
        made = recorded()
        made.objects[self.segment(0)] = made.objects[self.segment(0)][:left]
        made.upload(store)
        result = attempt("poster-live", ledger, store, self.segment(0), tmp_path)
        assert result.assets == ()
        assert "s0.m4s" in result.outputs["skipped"]

    def test_a_segment_that_is_not_there_is_tried_again(
        self, ledger: Ledger, store: CountingStore, tmp_path: Path
    ) -> None:
        with pytest.raises(RetryLater, match=r"s0\.m4s is not there"):
            attempt("poster-live", ledger, store, self.segment(0), tmp_path)
