"""Key pictures of real H.264 and HEVC."""

import contextlib
import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from coldpath.errors import DamagedMedia
from coldpath.media.first_unit import first_unit
from coldpath.media.keyframes import AHEAD, Picture, coding, decoded, fitted, key_picture, pictures
from coldpath.media.recording import recording
from coldpath.media.shots import Shot, shots
from infra.errors import ObjectMissing
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.functions import CountingStore
from tests.support.session import Session, encode, session

KEY = ProgramKey("p", "e")
TONES = {"red": (254, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 254)}
STRIPES = ";".join(f"color={tone}:320x180:25:d=2[{tone}]" for tone in TONES) + (
    ";[red][lime][blue]concat=n=3,format=yuv420p"
)
"""Two seconds each of red, green and blue."""


def recorded(**changes: Any) -> Session:
    return session(KEY, "i1", *encode(6.0, picture=STRIPES, **changes))


def of(made: Session) -> tuple[MemoryObjectStore, list[Shot]]:
    store = MemoryObjectStore()
    made.upload(store)
    return store, shots(recording([made.manifest]), lines=90)


def tone(picture: Picture) -> str:
    mean = picture.mean(axis=(0, 1))
    return min(TONES, key=lambda name: float(np.abs(mean - TONES[name]).max()))


@pytest.mark.parametrize(
    "changes",
    [{}, {"bframes": 0}, {"codec": "libx265"}],
    ids=["b-frames", "no-b-frames", "hevc"],
)
def test_each_shot_is_the_picture_at_its_time(changes: dict[str, Any]) -> None:
    store, wanted = of(recorded(**changes))
    found = list(decoded(store, wanted, 160))
    assert [(shot.at_ms, tone(picture)) for shot, picture in found] == [
        (0, "red"),
        (2_000, "lime"),
        (4_000, "blue"),
    ]
    assert {picture.shape for _, picture in found} == {(90, 160, 3)}
    for _, picture in found:
        assert np.abs(picture.mean(axis=(0, 1)) - TONES[tone(picture)]).max() < 6


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_open_groups_of_pictures(codec: str) -> None:
    store, wanted = of(session(KEY, "i1", *encode(6.0, codec=codec, open_gop=True)))
    found = list(pictures(store, wanted, 320))
    assert len(found) > 1
    assert all(picture is not None for _, picture in found)


@pytest.mark.parametrize(("size", "matrix"), [("1280x720", "bt709"), ("640x360", "bt601")])
def test_colours_are_those_that_a_player_shows(size: str, matrix: str) -> None:
    """The stream does not say which matrix it was made with; players go by its size."""
    lime = f"color=lime:{size}:25:d=1,scale=out_color_matrix={matrix},format=yuv420p"
    lime += ",setparams=colorspace=unknown"
    store, wanted = of(session(KEY, "i1", *encode(1.0, picture=lime)))
    (_, picture), *_ = decoded(store, wanted, 160)
    assert np.abs(picture.mean(axis=(0, 1)) - TONES["lime"]).max() < 4


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_small_picture_is_the_large_one_reduced(codec: str) -> None:
    made = session(KEY, "i1", *encode(1.0, size="1280x720", codec=codec))
    store, wanted = of(made)
    (_, large), *_ = decoded(store, wanted, 1280)
    (_, small), *_ = decoded(store, wanted, 160)
    means = large.reshape(90, 8, 160, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - means).mean() < 4


def test_pixels_that_are_not_square() -> None:
    wide = "testsrc2=320x180:25:d=1,setsar=2"
    store, wanted = of(session(KEY, "i1", *encode(1.0, picture=wide)))
    (_, picture), *_ = decoded(store, wanted, 160)
    assert picture.shape == (45, 160, 3)


def test_pictures_are_never_enlarged() -> None:
    assert fitted(Fraction(320), Fraction(180), 1280) == (320, 180)
    assert fitted(Fraction(1920), Fraction(1080), 1280) == (1280, 720)
    assert fitted(Fraction(1080), Fraction(1920), 160) == (90, 160)
    assert fitted(Fraction(5000), Fraction(1), 100) == (100, 1)


def test_few_segments_are_read_ahead() -> None:
    store = CountingStore()
    made = session(KEY, "i1", *encode(20.0, gop=25), segment_s=1)
    made.upload(store)
    wanted = shots(recording([made.manifest]), lines=90)
    assert len(wanted) == 20
    found = pictures(store, wanted, 160)
    next(found)
    found.close()
    assert 1 <= len(store.segments_read()) <= AHEAD


def damaged(made: Session, cut: Sequence[tuple[int, int]]) -> Session:
    """`cut`: (segment, bytes that are left of it)."""
    for msn, left in cut:
        key = next(key for key in made.objects if key.endswith(f"/video/s{msn}.m4s"))
        made.objects[key] = made.objects[key][:left]
    return made


@pytest.mark.parametrize("left", [1, 7, 40, 200, 300])
def test_a_segment_that_is_cut_short_is_left_out(
    left: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, wanted = of(damaged(recorded(), [(1, left)]))
    with caplog.at_level(logging.WARNING):
        found = list(pictures(store, wanted, 160))
    assert [picture is not None for _, picture in found] == [True, False, True]
    assert "left out: live/p/e/main/i1/video/s1.m4s" in caplog.text


@pytest.mark.parametrize("seed", range(40))
def test_bytes_that_are_anything_are_damaged_media_or_a_picture(seed: int) -> None:
    made = recorded()
    init = next(data for key, data in made.objects.items() if key.endswith("video/init-0.mp4"))
    segment = bytearray(next(d for k, d in made.objects.items() if k.endswith("video/s1.m4s")))
    random = np.random.default_rng(seed)
    for at in random.integers(0, 1_200, 12):
        segment[at] = random.integers(0, 256)
    coded = coding(init, "init")
    with contextlib.suppress(DamagedMedia):
        assert key_picture(coded, bytes(segment), "s1", 160).ndim == 3


def test_a_segment_that_does_not_begin_with_a_keyframe() -> None:
    video, audio = encode(6.0, picture=STRIPES)
    made = session(KEY, "i1", video, audio)
    late = video.fragments[1]
    assert not late.keyframe
    with pytest.raises(DamagedMedia, match="s0"):
        key_picture(coding(video.init, "init"), late.data, "s0", 160)
    assert (
        first_unit(video.fragments[0].data, "s0") in made.objects["live/p/e/main/i1/video/s0.m4s"]
    )


def test_an_init_section_of_sound_or_of_nothing() -> None:
    _, audio = encode(6.0, picture=STRIPES)
    for init in (audio.init, b"", b"nothing at all"):
        with pytest.raises(DamagedMedia, match="init-0 is no init section of a picture"):
            coding(init, "init-0")


def test_a_segment_that_is_missing_is_for_the_job_to_try_again() -> None:
    made = recorded()
    del made.objects["live/p/e/main/i1/video/s1.m4s"]
    store, wanted = of(made)
    with pytest.raises(ObjectMissing):
        list(pictures(store, wanted, 160))
