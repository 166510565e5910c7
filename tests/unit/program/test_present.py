"""What is kept of a publisher that is not on the air."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit
from hotpath.program import present
from hotpath.program.present import Present
from infra.publishers import Role

H264 = Format(VIDEO, Codec.H264, 90_000, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000)


def picture(dts: int, *, key: bool = False, size: int = 1, damaged: bool = False) -> Unit:
    return Unit(VIDEO, dts, dts, key, b"v" * size, dts, dts, damaged=damaged)


def sound(dts: int) -> Unit:
    return Unit(AUDIO, dts, dts, True, b"a", dts, dts)


def standby(*formats: Format) -> Present:
    made = Present(1, Role.BACKUP, 0)
    made.describe(formats or (H264, AAC))
    return made


def test_everything_since_the_newest_keyframe_is_kept() -> None:
    one = standby()
    one.keep([picture(0), sound(0)], 1)
    assert one.gop.key is None
    one.keep([picture(1, key=True), sound(1), picture(2)], 2)
    one.keep([sound(3)], 3)
    assert one.gop.key == picture(1, key=True)
    assert one.gop.key_at == 2
    assert [(at, unit.dts) for at, unit in one.gop.take()] == [(2, 1), (2, 1), (2, 2), (3, 3)]
    assert one.gop.take() == []


def test_sound_of_the_keyframe_that_came_before_it_is_kept_too() -> None:
    one = standby()
    one.keep([picture(1, key=True), sound(1), picture(2), sound(5), sound(6)], 1)
    one.keep([picture(5, key=True)], 2)
    assert [unit for _, unit in one.gop.take()] == [sound(5), sound(6), picture(5, key=True)]


def test_a_damaged_keyframe_is_none() -> None:
    one = standby()
    one.keep([picture(1, key=True, damaged=True)], 1)
    assert one.gop.key is None


def test_without_picture_the_newest_sound_is_enough() -> None:
    one = standby(AAC)
    one.keep([sound(n) for n in range(9)], 1)
    assert [unit for _, unit in one.gop.take()] == [sound(8)]


@pytest.mark.parametrize(
    ("formats", "kept"),
    [
        ((H264, AAC), True),
        ((replace(H264, frame_duration=0), AAC), True),
        ((replace(H264, width=1280), AAC), False),
        ((H264,), False),
        ((AAC,), False),
        ((H264, AAC, replace(AAC, track="audio-2")), True),
    ],
)
def test_what_is_kept_was_made_in_the_present_formats(
    formats: tuple[Format, ...], *, kept: bool
) -> None:
    one = standby()
    one.keep([picture(1, key=True)], 1)
    one.describe(formats)
    assert (one.gop.key is not None) is kept
    assert one.formats == formats


def test_what_does_not_fit_goes_until_the_next_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "GOP_BYTES", 100)
    one = standby()
    one.keep([picture(1, key=True, size=60), picture(2, size=41)], 1)
    assert one.gop.key is None
    one.keep([picture(3)], 2)
    assert one.gop.take() == []
    one.keep([picture(4, key=True, size=60)], 3)
    assert len(one.gop.take()) == 1


UNITS = st.builds(
    Unit,
    track=st.sampled_from([VIDEO, AUDIO]),
    pts=st.just(0),
    dts=st.integers(0, 50),
    keyframe=st.booleans(),
    data=st.binary(max_size=30),
    ingest_ns=st.just(0),
    demuxed_ns=st.just(0),
    damaged=st.booleans(),
)


@given(st.lists(st.lists(UNITS, max_size=8), max_size=20))
def test_it_is_bounded_and_always_begins_with_a_keyframe(batches: list[list[Unit]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(present, "GOP_UNITS", 12)
        patched.setattr(present, "GOP_BYTES", 150)
        one = standby()
        for now, units in enumerate(batches):
            one.keep(units, now)
            copy = [unit for _, unit in one.gop.take()]
            assert len(copy) <= 12
            assert sum(len(unit.data) for unit in copy) <= 150
            pictures = [unit for unit in copy if unit.track == VIDEO]
            assert not copy or (pictures[0].keyframe and not pictures[0].damaged)
            one.keep(copy, now)
