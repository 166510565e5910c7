"""What goes to viewers as it is and what is encoded first."""

from dataclasses import replace

import pytest

from hotpath.fanout.selection import PROOF, Input, Selection, Taken
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
OPUS = Format(AUDIO, Codec.OPUS, 48_000, b"", "opus")
WALL = 1_790_000_000_000_000_000


def video(pts: int, dts: int | None = None, *, key: bool = False, damaged: bool = False) -> Sample:
    unit = Unit(VIDEO, pts, pts if dts is None else dts, key, b"x", 1, 1, damaged=damaged)
    return Sample(unit, Mark(0, 0, 0, key, WALL + pts), 1)


def audio(pts: int) -> Sample:
    return Sample(Unit(AUDIO, pts, pts, True, b"a", 1, 1), Mark(0, 0, 0, True, WALL + pts), 1)


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
