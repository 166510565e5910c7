"""The storyboard function over a store in memory, with real media."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coldpath.errors import DamagedMedia, Interrupted
from coldpath.ledger import Ledger
from coldpath.media import sprite
from infra.keys import ProgramKey
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, encode, session

KEY = ProgramKey("p", "e")
STRIPES = (
    "color=red:320x180:25:d=2[a];color=lime:320x180:25:d=2[b];color=blue:320x180:25:d=2[c];"
    "[a][b][c]concat=n=3,format=yuv420p"
)
RED, LIME, BLUE = (254, 0, 0), (0, 255, 0), (0, 0, 254)


def recorded(incarnation: str = "i1", **changes: Any) -> Session:
    return session(KEY, incarnation, *encode(6.0, picture=STRIPES), **changes)


def cues(text: str) -> list[tuple[str, str, str, tuple[int, ...]]]:
    """(from, to, sheet, xywh) of each."""
    found = re.findall(r"(\S+) --> (\S+)\n(sheet-\d+\.jpg)#xywh=([\d,]+)\n", text)
    return [(a, b, sheet, tuple(map(int, xywh.split(",")))) for a, b, sheet, xywh in found]


def shown(store: CountingStore, folder: str, sheet: str, xywh: tuple[int, ...]) -> np.ndarray:
    """The mean colour of a cell, as a player cuts it out."""
    drawn = np.asarray(Image.open(io.BytesIO(store.get(f"{folder}/{sheet}"))))
    left, top, width, height = xywh
    cell = drawn[top : top + height, left : left + width]
    assert cell.shape == (height, width, 3)
    return cell.mean(axis=(0, 1))


def test_each_time_shows_its_picture(ledger: Ledger, store: CountingStore, tmp_path: Path) -> None:
    whole = recorded()
    whole.upload(store)
    result = attempt("storyboard", ledger, store, whole.manifest_key, tmp_path)
    (asset,) = result.assets
    assert (asset.kind, asset.content_type, asset.duration_ms) == ("storyboard", "text/vtt", 6_000)
    assert asset.detail == {"sheets": ["sheet-0.jpg"], "cells": 3, "width": 160, "height": 90}
    folder, _, name = asset.key.rpartition("/")
    assert name == "storyboard.vtt"
    found = cues(store.get(asset.key).decode())
    assert [(a, b) for a, b, _, _ in found] == [
        ("00:00:00.000", "00:00:02.000"),
        ("00:00:02.000", "00:00:04.000"),
        ("00:00:04.000", "00:00:06.000"),
    ]
    for (_, _, sheet, xywh), tone in zip(found, (RED, LIME, BLUE), strict=True):
        assert np.abs(shown(store, folder, sheet, xywh) - tone).max() < 8


def test_a_rerun_finds_the_outputs_and_decodes_nothing(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    whole.upload(store)
    first = attempt("storyboard", ledger, store, whole.manifest_key, tmp_path)
    store.gets.clear()
    assert attempt("storyboard", ledger, store, whole.manifest_key, tmp_path) == first
    assert store.segments_read() == []


def test_an_attempt_goes_on_behind_the_sheets_of_the_one_before(
    ledger: Ledger, store: CountingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sprite, "PER_SHEET", 2)
    whole = recorded()
    whole.upload(store)
    key = whole.manifest_key
    with pytest.raises(Interrupted):
        attempt("storyboard", ledger, store, key, tmp_path, stops=True)
    assert len(store.segments_read()) == 2
    store.gets.clear()
    result = attempt("storyboard", ledger, store, key, tmp_path)
    assert [key.rpartition("/")[2] for key in store.segments_read()] == ["s2.m4s"]
    assert result.assets[0].detail["sheets"] == ["sheet-0.jpg", "sheet-1.jpg"]


def test_pauses_between_incarnations_are_not_in_it(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    recorded(final=False).upload(store)
    second = recorded("i2", start_s=600, first_msn=64, discontinuity_seq=1, previous=["i1"])
    second.upload(store)
    result = attempt("storyboard", ledger, store, second.manifest_key, tmp_path)
    found = cues(store.get(result.assets[0].key).decode())
    # The sound of the first half lasts a moment longer, which its playlist shows as a gap.
    assert len(found) == 6
    assert found[-1][1] <= "00:00:12.200"


def test_a_damaged_segment_leaves_the_picture_before_it(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    broken = "live/p/e/main/i1/video/s1.m4s"
    whole.objects[broken] = whole.objects[broken][:300]
    whole.upload(store)
    result = attempt("storyboard", ledger, store, whole.manifest_key, tmp_path)
    folder = result.assets[0].key.rpartition("/")[0]
    found = cues(store.get(result.assets[0].key).decode())
    for (_, _, sheet, xywh), tone in zip(found, (RED, RED, BLUE), strict=True):
        assert np.abs(shown(store, folder, sheet, xywh) - tone).max() < 8


def test_a_recording_of_which_nothing_decodes(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    for key in list(whole.objects):
        if key.endswith(".m4s"):
            whole.objects[key] = whole.objects[key][:300]
    whole.upload(store)
    with pytest.raises(DamagedMedia, match="none of the first 3 key pictures decodes"):
        attempt("storyboard", ledger, store, whole.manifest_key, tmp_path)
    assert not [key for key in store.puts if key.startswith("vod/")]


def test_sound_alone_has_no_storyboard(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    heard = session(KEY, "i1", encode(6.0, picture=STRIPES)[1])
    heard.upload(store)
    result = attempt("storyboard", ledger, store, heard.manifest_key, tmp_path)
    assert (result.outputs, result.assets) == ({"skipped": "no picture was recorded"}, ())


def test_a_programme_that_goes_on_has_none_yet(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    part = recorded(final=False)
    part.upload(store)
    assert attempt("storyboard", ledger, store, part.manifest_key, tmp_path).assets == ()
