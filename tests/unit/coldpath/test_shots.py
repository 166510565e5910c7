"""Which segments are looked at, and where in the presentation they are."""

import itertools
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from coldpath.media.recording import Recording, recording
from coldpath.media.shots import MOST, length_ms, shots, spread, step_ms
from coldpath.media.vod import playlists
from infra.keys import ProgramKey
from infra.manifest import RenditionEntry, SegmentEntry, SessionManifest

KEY = ProgramKey("p", "e")
TICKS = 90_000


def entry(msn: int, **changes: Any) -> SegmentEntry:
    settings = {
        "msn": msn,
        "init": 0,
        "start": msn * 2 * TICKS,
        "duration": 2 * TICKS,
        "bytes": 1,
        "samples": 1,
        "discontinuity_seq": 0,
        "independent": True,
        "pdt_ns": 0,
    }
    return SegmentEntry(**{**settings, **changes})


def rendition(name: str, height: int, segments: list[SegmentEntry]) -> RenditionEntry:
    kind: Any = "video" if height else "audio"
    return RenditionEntry(
        name=name,
        kind=kind,
        codecs=(),
        timescale=TICKS,
        inits=1,
        width=height * 16 // 9,
        height=height,
        segments=tuple(segments),
    )


def recorded(*renditions: RenditionEntry, incarnation: str = "i1") -> SessionManifest:
    return SessionManifest(
        project=KEY.project,
        event=KEY.event,
        feed=KEY.feed,
        incarnation=incarnation,
        final=True,
        started_ns=0,
        ended_ns=0,
        target_duration_s=2,
        renditions=renditions,
    )


def whole(*renditions: RenditionEntry) -> Recording:
    return recording([recorded(*renditions)])


def source(count: int, **changes: Any) -> RenditionEntry:
    return rendition("video", 1080, [entry(n, **changes) for n in range(count)])


def test_every_segment_that_begins_with_a_keyframe_is_a_shot() -> None:
    segments = [entry(n, independent=n % 2 == 0) for n in range(6)]
    found = shots(whole(rendition("video", 720, segments)), lines=90)
    assert [shot.at_ms for shot in found] == [0, 4_000, 8_000]
    assert [shot.segment.entry.msn for shot in found] == [0, 2, 4]


def test_a_step_takes_the_first_of_each() -> None:
    found = shots(whole(source(20)), lines=90, step=5_000)
    assert [shot.at_ms for shot in found] == [
        0,
        6_000,
        10_000,
        16_000,
        20_000,
        26_000,
        30_000,
        36_000,
    ]


def test_gaps_between_runs_are_left_out_and_what_was_not_recorded_keeps_its_time() -> None:
    video = [entry(n) for n in (0, 1, 3)]
    audio = [entry(n) for n in range(4)]
    later = recorded(
        rendition("video", 1080, [entry(90, start=500 * TICKS, discontinuity_seq=1)]),
        incarnation="i2",
    )
    both = recording(
        [recorded(rendition("video", 1080, video), rendition("audio", 0, audio)), later]
    )
    found = shots(both, lines=90)
    assert [shot.at_ms for shot in found] == [0, 2_000, 6_000, 8_000]
    assert length_ms(both) == 10_000


def test_times_are_those_of_the_sources_playlist() -> None:
    """Segments last as long as the picture, though the sound beside them lasts longer."""
    video = [entry(n, duration=2 * TICKS - n * 450) for n in range(8)]
    audio = [entry(n, duration=2 * TICKS + 900) for n in range(8)]
    both = whole(rendition("video", 1080, video), rendition("audio", 0, audio))
    lines = playlists(both, "c")["video.m3u8"].splitlines()
    seconds = [Fraction(x[8:-1]) for x in lines if x.startswith("#EXTINF:")]
    starts = [0, *itertools.accumulate(seconds)]
    assert [s.at_ms for s in shots(both, lines=90)] == [round(s * 1000) for s in starts[:-1]]
    assert length_ms(both) == round(starts[-1] * 1000)


def test_the_smallest_rendition_that_is_tall_enough_is_taken() -> None:
    everything = whole(
        source(3),
        rendition("720p", 720, [entry(n) for n in range(3)]),
        rendition("240p", 240, [entry(0), entry(1, independent=False)]),
    )
    of = {
        lines: [shot.segment.key.split("/")[-2] for shot in shots(everything, lines=lines)]
        for lines in (90, 480, 2160)
    }
    assert of == {
        90: ["240p", "720p", "720p"],
        480: ["720p"] * 3,
        2160: ["video"] * 3,
    }


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(1, 2), (10, 2), (11, 5), (60, 15), (240, 60), (1_500, 300)]
)
def test_the_step_grows_with_the_length(minutes: int, seconds: int) -> None:
    assert step_ms(minutes * 60_000) == seconds * 1_000


@pytest.mark.parametrize("count", [1, 299, 300, 301, 5_000, 20_000])
def test_there_are_never_more_than_the_most(count: int) -> None:
    long = whole(source(count))
    found = shots(long, lines=90, step=step_ms(length_ms(long)))
    assert min(count, 100) <= len(found) <= MOST


def test_a_recording_without_a_picture_has_no_shots() -> None:
    assert shots(whole(rendition("audio", 0, [entry(0)])), lines=90) == []


@pytest.mark.parametrize(
    ("count", "taken"),
    MappingProxyType({0: [], 1: [4], 3: [1, 4, 7], 9: list(range(9)), 20: list(range(9))}).items(),
)
def test_spreading_takes_from_the_whole(count: int, taken: list[int]) -> None:
    assert spread(range(9), count) == taken
