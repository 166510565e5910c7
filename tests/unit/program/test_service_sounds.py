"""The sounds of a programme: described late, alone, further ones, that leave and come back."""

from dataclasses import replace

import pytest

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, FormatChange, SegmentCut, Unit
from hotpath.program.states import ProgramState
from tests.support.programme import AAC, EPOCH, GERMAN, H264, Harness, media


def test_declared_audio_is_waited_for_but_not_for_long() -> None:
    harness = Harness()
    harness.connect(formats=[H264])
    harness.send(media(0.9, audio=False))
    assert harness.items == []
    harness.send(media(0.3, start=0.9, audio=False))
    assert harness.samples()
    assert harness.items[0] == FormatChange(H264, 0)


def test_audio_described_in_time_is_in_from_the_start() -> None:
    harness = Harness()
    harness.connect(formats=[H264])
    harness.send(media(0.3))
    harness.program.publisher_formats(1, [H264, AAC], harness.now, EPOCH)
    harness.send(media(1, start=0.3))
    assert harness.items[:2] == [FormatChange(H264, 0), FormatChange(AAC, 0)]
    assert harness.samples(AUDIO)[0].unit.dts == 0


def test_audio_that_is_described_late_joins_without_discontinuity() -> None:
    harness = Harness()
    harness.connect(formats=[H264])
    harness.send(media(3, audio=False))
    harness.program.publisher_formats(1, [H264, AAC], harness.now, EPOCH)
    harness.send(media(3, start=3))
    assert FormatChange(AAC, 0) in harness.items
    assert harness.samples(AUDIO)
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}


def test_audio_alone_makes_a_programme_after_a_wait() -> None:
    harness = Harness()
    harness.connect(formats=[AAC])
    harness.send(unit for unit in media(4) if unit.track == AUDIO)
    assert harness.program.state is ProgramState.LIVE
    assert harness.samples(AUDIO)[0].unit.dts == 0


def test_a_change_of_audio_waits_for_the_next_keyframe_and_costs_no_picture() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(3.5))
    stereo = Format(AUDIO, Codec.AAC, 48_000, b"asc2", "mp4a.40.2", frame_duration=1024)
    harness.program.publisher_formats(1, [H264, stereo], harness.now, EPOCH)
    harness.send(media(3, start=3.5))
    assert FormatChange(stereo, 1) in harness.items
    assert len(harness.samples()) == round(6.5 * 30)


def three(seconds: float, start: float = 0) -> list[Unit]:
    """`media` with the sound a second time, as `GERMAN`."""
    both = media(seconds, start)
    return [
        each
        for unit in both
        for each in ([unit] if unit.track == VIDEO else [unit, replace(unit, track=GERMAN.track)])
    ]


def test_a_further_sound_that_is_described_late_holds_nothing_back() -> None:
    harness = Harness()
    harness.connect()
    harness.send(media(0.2))
    assert harness.program.state is ProgramState.LIVE
    harness.program.publisher_formats(1, [H264, AAC, GERMAN], harness.now, EPOCH)
    harness.send(three(3, start=0.2))
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}
    assert min(sample.mark.msn for sample in harness.samples(GERMAN.track)) == 0


def test_a_further_sound_leaves_and_comes_back_without_a_discontinuity() -> None:
    harness = Harness()
    harness.connect(formats=[H264, AAC, GERMAN])
    harness.send(three(3))
    harness.program.publisher_formats(1, [H264, AAC], harness.now, EPOCH)
    harness.send(media(6, start=3))
    harness.program.publisher_formats(1, [H264, AAC, GERMAN], harness.now, EPOCH)
    harness.send(three(3, start=9))
    cuts = [i for i in harness.items if isinstance(i, SegmentCut) and i.track == GERMAN.track]
    assert [cut.gap for cut in cuts] == [False, False, True, True, False]
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0}
    assert len(harness.samples()) == 12 * 30
    assert len([item for item in harness.items if isinstance(item, FormatChange)]) == 3


@pytest.mark.parametrize("change", [{"config": b"other"}, {"language": "nl"}])
def test_a_further_sound_that_comes_back_as_another_starts_anew_at_a_keyframe(
    change: dict[str, object],
) -> None:
    harness = Harness()
    other = replace(GERMAN, **change)  # type: ignore[arg-type]
    harness.connect(formats=[H264, AAC, GERMAN])
    harness.send(three(3))
    harness.program.publisher_formats(1, [H264, AAC], harness.now, EPOCH)
    harness.send(media(1.5, start=3))
    harness.program.publisher_formats(1, [H264, AAC, other], harness.now, EPOCH)
    harness.send(three(3, start=4.5))
    assert FormatChange(other, 1) in harness.items
    assert {sample.mark.discontinuity_seq for sample in harness.samples()} == {0, 1}
    assert len(harness.samples()) == round(7.5 * 30)


def test_a_publisher_with_fewer_sounds_leaves_gaps_in_the_others() -> None:
    harness = Harness()
    harness.connect(formats=[H264, AAC, GERMAN])
    harness.send(three(4))
    harness.lose()
    harness.connect(2)
    harness.send(media(4, start=5), publisher=2)
    cuts = [i for i in harness.items if isinstance(i, SegmentCut) and i.track == GERMAN.track]
    assert [cut.gap for cut in cuts] == [False, False, True]
    assert harness.program.publisher == 2
