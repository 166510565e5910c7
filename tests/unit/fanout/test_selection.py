"""What goes to viewers as it is and what is encoded first."""

from dataclasses import replace

import pytest

from hotpath.fanout.selection import MAIN, PROOF, RUNG_MISSED, Input, Selection, Taken
from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Mark,
    Sample,
    Unit,
)
from tests.support.coded import coded, marked

H264 = Format(VIDEO, Codec.H264, 90_000, b"", "avc1.42c01f")
AAC = Format(AUDIO, Codec.AAC, 48_000, b"", "mp4a.40.2")
RUNG = Format("720p", Codec.H264, 90_000, b"", "avc1.42c01f", 1280, 720)
OPUS = Format(AUDIO, Codec.OPUS, 48_000, b"", "opus")
WALL = 1_790_000_000_000_000_000


def video(pts: int, dts: int | None = None, *, key: bool = False, damaged: bool = False) -> Sample:
    unit = Unit(VIDEO, pts, pts if dts is None else dts, key, b"x", 1, 1, damaged=damaged)
    return Sample(unit, Mark(0, 0, 0, key, WALL + pts), 1)


def rung(pts: int, *, key: bool = False, name: str = "720p", damaged: bool = False) -> Sample:
    sample = video(pts, key=key, damaged=damaged)
    return replace(sample, unit=replace(sample.unit, track=name))


def audio(pts: int, track: str = AUDIO) -> Sample:
    return Sample(Unit(track, pts, pts, True, b"a", 1, 1), Mark(0, 0, 0, True, WALL + pts), 1)


def companion(pts: int) -> CompanionSample:
    return CompanionSample(Unit(COMPANION, pts, pts, True, b"o", 1, 1), WALL + pts, 1)


def taken(selection: Selection, items: list[Item]) -> list[tuple[str, int]]:
    found = [selection.receive(item) for item in items]
    return [(one.kind, one.unit.pts) for one in found if one is not None]


def after(*formats: Format) -> Selection:
    selection = Selection()
    for format in formats:
        selection.receive(FormatChange(format, 0))
    return selection


def test_nothing_is_known_of_a_programme_without_formats() -> None:
    assert (Selection().video, Selection().audio) == (Input.NONE, Input.NONE)


def test_h264_in_display_order_is_taken_from_its_first_keyframe() -> None:
    selection = after(H264)
    items: list[Item] = [video(0), video(1), video(2, key=True), video(3)]
    assert taken(selection, items) == [("video", 2), ("video", 3)]
    assert selection.video is Input.SOURCE


def test_a_taken_unit_carries_its_wall_clock_and_format() -> None:
    assert after(H264).receive(video(7, key=True)) == Taken(
        "video", video(7, key=True).unit, H264, WALL + 7
    )


def test_hevc_is_encoded() -> None:
    selection = after(replace(H264, codec=Codec.HEVC))
    assert taken(selection, [video(0, key=True)]) == []
    assert selection.video is Input.ENCODED


def test_b_frames_are_encoded_and_stay_so() -> None:
    selection = after(H264)
    items: list[Item] = [video(6, 0, key=True), video(12, 3), video(9, 6), *map(video, (15, 18))]
    assert taken(selection, items) == []
    assert selection.video is Input.ENCODED


def test_b_frames_that_turn_up_later_end_the_passage() -> None:
    selection = after(H264)
    items: list[Item] = [
        video(0, key=True),
        video(3),
        video(9, 6),
        video(6, 9),
        video(12, key=True),
    ]
    assert taken(selection, items) == [("video", 0), ("video", 3), ("video", 9)]
    assert selection.video is Input.ENCODED


def test_a_delay_without_reordering_is_no_b_frame() -> None:
    selection = after(H264)
    delayed: list[Item] = [video(n + 2, n, key=n % 10 == 0) for n in range(30)]
    assert taken(selection, delayed) == [("video", n + 2) for n in range(20, 30)]
    assert selection.video is Input.SOURCE


def test_nothing_is_decided_while_only_a_delay_was_seen() -> None:
    selection = after(H264)
    taken(selection, [video(n + 2, n) for n in range(PROOF - 1)])
    assert selection.video is Input.NONE


@pytest.mark.parametrize("how", ["damaged", "skipped", "format"])
def test_after_a_break_only_a_keyframe_goes_on(how: str) -> None:
    selection = after(H264)
    assert taken(selection, [video(0, key=True), video(1)]) == [("video", 0), ("video", 1)]
    if how == "damaged":
        assert selection.receive(video(2, damaged=True)) is None
    elif how == "skipped":
        selection.skipped()
    else:
        selection.receive(FormatChange(replace(H264, width=640), 1))
    assert taken(selection, [video(3), video(4, key=True)]) == [("video", 4)]


def test_opus_is_taken_and_aac_is_encoded() -> None:
    assert taken(after(OPUS), [audio(0)]) == [("audio", 0)]
    assert taken(after(AAC), [audio(0)]) == []
    assert after(AAC).audio is Input.ENCODED


def test_the_companion_is_preferred_while_there_is_one() -> None:
    selection = after(AAC, replace(OPUS, track=COMPANION))
    assert taken(selection, [audio(0), companion(1)]) == [("audio", 1)]
    assert selection.audio is Input.COMPANION
    selection.receive(CompanionEnd())
    assert selection.audio is Input.ENCODED


@pytest.mark.parametrize(("kind", "expected"), [("h264", Input.SOURCE), ("h264-b", Input.ENCODED)])
def test_what_x264_makes_is_told_apart(kind: str, expected: Input) -> None:
    selection, source = Selection(), coded(kind, None, seconds=1)
    for item in marked(source):
        selection.receive(item)
    assert selection.video is expected


def shown(selection: Selection, items: list[Item]) -> list[tuple[str, int]]:
    found = [selection.receive(item) for item in items]
    return [(one.rendition, one.unit.pts) for one in found if one is not None]


def test_a_rung_is_taken_from_its_first_keyframe_under_its_own_name() -> None:
    selection = after(H264, RUNG)
    items: list[Item] = [video(0, key=True), rung(0), rung(1, key=True), video(1), rung(2)]
    assert selection.rungs == frozenset()
    assert shown(selection, items) == [(MAIN, 0), ("720p", 1), (MAIN, 1), ("720p", 2)]
    assert selection.rungs == {"720p"}
    taken_one = selection.receive(rung(3))
    assert taken_one == Taken("video", rung(3).unit, RUNG, WALL + 3, "720p")


def test_a_rung_is_no_sound() -> None:
    """Opus is handed on as it is, and nothing but the sound is taken for it."""
    selection = after(OPUS, RUNG)
    assert taken(selection, [audio(0), rung(1)]) == [("audio", 0)]


def test_a_track_that_no_rung_is_called_is_left_out() -> None:
    selection = after(OPUS, H264, replace(RUNG, track="subtitles"))
    assert taken(selection, [rung(0, key=True, name="subtitles")]) == []
    assert selection.rungs == frozenset()


def test_a_rung_that_webrtc_cannot_carry_is_left_out() -> None:
    selection = after(H264, replace(RUNG, codec=Codec.HEVC))
    assert taken(selection, [rung(0, key=True)]) == []
    assert selection.rungs == frozenset()


def test_rungs_are_taken_beside_a_source_that_is_encoded() -> None:
    selection = after(replace(H264, codec=Codec.HEVC), RUNG)
    items: list[Item] = [video(0, key=True), rung(0, key=True)]
    assert shown(selection, items) == [("720p", 0)]


@pytest.mark.parametrize("how", ["damaged", "skipped", "format"])
def test_after_a_break_a_rung_goes_on_at_its_own_keyframe(how: str) -> None:
    selection = after(H264, RUNG)
    shown(selection, [video(0, key=True), rung(0, key=True)])
    if how == "damaged":
        assert selection.receive(rung(1, damaged=True)) is None
    elif how == "skipped":
        selection.skipped()
    else:
        selection.receive(FormatChange(replace(RUNG, width=640), 1))
    items: list[Item] = [video(2, key=True), rung(2), rung(3, key=True)]
    assert shown(selection, items) == [(MAIN, 2), ("720p", 3)]
    assert selection.rungs == {"720p"}


def test_a_rung_that_shows_nothing_any_more_is_gone_until_its_next_keyframe() -> None:
    selection = after(H264, RUNG)
    shown(selection, [video(0, key=True), rung(0, key=True)])
    shown(selection, [video(n) for n in range(1, RUNG_MISSED)])
    assert selection.rungs == {"720p"}
    selection.receive(video(RUNG_MISSED))
    assert selection.rungs == frozenset()
    assert shown(selection, [rung(RUNG_MISSED)]) == []
    assert shown(selection, [rung(RUNG_MISSED + 1, key=True)]) == [("720p", RUNG_MISSED + 1)]
    assert selection.rungs == {"720p"}


def test_a_pause_of_the_source_ends_no_rung() -> None:
    selection = after(H264, RUNG)
    shown(selection, [video(0, key=True), rung(0, key=True)])
    hour = 90_000 * 3600
    shown(selection, [video(hour, key=True), video(hour + 1)])
    assert selection.rungs == {"720p"}


def test_rungs_of_an_incarnation_before_are_there_until_they_are_missed() -> None:
    selection = Selection(["720p"])
    selection.receive(FormatChange(H264, 0))
    assert selection.rungs == {"720p"}
    shown(selection, [video(n, key=not n) for n in range(RUNG_MISSED)])
    assert selection.rungs == frozenset()


@pytest.mark.parametrize("first", [OPUS, AAC])
def test_of_several_sounds_the_first_is_taken(first: Format) -> None:
    further = replace(AAC, track="audio-2", language="de")
    selection, alone = after(H264, further, first), after(H264, first)
    assert selection.audio is alone.audio
    both: list[Item] = [audio(1, further.track), audio(2), audio(3, further.track)]
    assert taken(selection, both) == taken(alone, [audio(2)])
