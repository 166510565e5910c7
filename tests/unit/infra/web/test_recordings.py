"""What the VOD page makes of playlists, storyboards, markers and replays: run by Node."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from coldpath.media.shots import Shot
from coldpath.media.sprite import storyboard, webvtt
from tests.support.node import evaluate

PLAYLIST = """\
#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:10.000Z
#EXTINF:2.000000,
s0.m4s
#EXT-X-GAP
#EXTINF:2.000000,
s1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:01:00.000Z
#EXTINF:1.500000,
s2.m4s
#EXT-X-ENDLIST
"""


def call(module: str, name: str, *args: Any) -> Any:
    return calls(module, name, [args])[0]


def calls(module: str, name: str, found: Sequence[Sequence[Any]]) -> Any:
    """The results of several, in one process."""
    return evaluate(module, f"return {json.dumps(found)}.map((args) => module.{name}(...args));")


@functools.cache
def segments() -> Any:
    return call("timeline.js", "segmentsOf", PLAYLIST)


def at(seconds: float) -> int:
    """Unix ms of so many seconds after the year began."""
    return round((1_767_225_600 + seconds) * 1000)


def test_segments_have_a_place_and_mostly_a_time() -> None:
    assert [(s["start"], s["duration"], s["at"]) for s in segments()] == [
        (0, 2, at(10)), (2, 2, None), (4, 1.5, at(60)),
    ]  # fmt: skip


def test_the_clock_has_a_place_on_a_recording_with_gaps() -> None:
    known = segments()
    # Before it, its start, within, in a gap, behind that, after the end.
    clocks = [(at(clock), known) for clock in (5, 10, 11.25, 30, 60.5, 61.5)]
    assert calls("timeline.js", "placeOf", clocks) == [0, 0, 1.25, 4, 4.5, None]


def test_the_first_variant_is_what_times_are_read_from() -> None:
    master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO\n\n#EXT-X-STREAM-INF:BANDWIDTH=1\nvideo.m3u8\n"
    assert calls("timeline.js", "firstVariant", [[master], [PLAYLIST]]) == ["video.m3u8", None]


def marker(seconds: float, title: str | None, end: float | None = None, **more: Any) -> Any:
    said = {"id": f"mk_{seconds}", "kind": "chapter", "title": title, "data": {}, **more}
    return said | {"start": iso(seconds), "end": None if end is None else iso(end)}


def iso(seconds: float) -> str:
    return f"2026-01-01T00:{int(seconds) // 60:02}:{seconds % 60:06.3f}Z"


def test_chapters_follow_one_another() -> None:
    markers = [
        marker(60.5, "End"), marker(8, "Before", 9), marker(9, "First"), marker(11, None, 11.5),
        marker(70, "Never"), marker(11, "Who wins?", kind="poll"),
    ]  # fmt: skip
    found = call("timeline.js", "chaptersOf", markers, segments(), 5.5)
    assert [(c["title"], c["start"], c["end"]) for c in found] == [
        ("First", 0, 1), ("Chapter", 1, 1.5), ("End", 4.5, 5.5),
    ]  # fmt: skip
    chapter, none = calls("timeline.js", "chapterAt", [[found, 1.2], [found, 2]])
    assert (chapter["title"], none) == ("Chapter", None)


def test_the_scrub_bar_reads_what_the_storyboard_function_writes() -> None:
    shots: list[Any] = [Shot(n * 2000, None) for n in range(60)]  # type: ignore[arg-type]
    board = storyboard(shots, width=160, height=90, length_ms=121_000)
    cells = call("storyboard.js", "cellsOf", webvtt(board), "https://x/t/T/vod/p/e/f/c/board.vtt")
    assert len(cells) == 60
    assert cells[51] == {
        "from": 102, "to": 104, "url": "https://x/t/T/vod/p/e/f/c/sheet-1.jpg",
        "x": 160, "y": 0, "width": 160, "height": 90,
    }  # fmt: skip
    asked: list[tuple[Any, float]] = [(cells, one) for one in (0, 1.9, 2, 119, 500)]
    asked.append(([], 5))
    found = calls("storyboard.js", "cellAt", asked)
    assert found == [*(cells[number] for number in (0, 0, 1, 59, 59)), None]


def replayed(actions: str) -> Any:
    entries = [{"at_ms": at(s), "kind": "chat", "data": {"text": s}} for s in (10.5, 11, 60, 99)]
    return evaluate(
        "replay.js",
        f"const replay = new module.Replay({json.dumps(entries)}, {json.dumps(segments())});"
        "const said = (entries) => entries.map(({ data }) => data.text);"
        f"return {actions};",
    )


def test_entries_come_as_playback_passes_them_and_once() -> None:
    assert replayed("[0.4, 0.6, 0.6, 5].map((at) => said(replay.pass(at)))") == [
        [], [10.5], [], [11, 60],
    ]  # fmt: skip


def test_a_seek_shows_what_was_before_and_passes_nothing_on_the_way() -> None:
    assert replayed("[said(replay.seek(1.2)), said(replay.pass(1.3)), said(replay.pass(4))]") == [
        [10.5, 11], [], [60],
    ]  # fmt: skip
    assert replayed("[said(replay.seek(5)), said(replay.seek(0.2)), said(replay.pass(0.7))]") == [
        [10.5, 11, 60], [], [10.5],
    ]  # fmt: skip


def test_markers_are_the_first_entries() -> None:
    poll = marker(11, "Who wins?", kind="poll", data={"options": 3})
    found = call("replay.js", "entriesOf", [marker(9, "First"), poll])
    assert found == [{"at_ms": at(11), "kind": "poll", "data": {"text": "Who wins?", "options": 3}}]
    assert call("replay.js", "shownOf", found[0]) == {"who": "", "text": "Who wins?"}


def test_places_are_written_and_spoken() -> None:
    seconds: list[list[Any]] = [[0], [7.9], [65], [3600], [36_610], [None]]
    assert calls("vod-messages.js", "placeText", seconds) == [
        "0:00", "0:07", "1:05", "1:00:00", "10:10:10", "0:00",
    ]  # fmt: skip
    assert calls("vod-messages.js", "spokenPlace", [[3723], [0]]) == [
        "1 hour 2 minutes 3 seconds", "0 seconds",
    ]  # fmt: skip


OVERLAYS: list[tuple[dict[str, Any], str | None]] = [
    ({}, "Loading"),
    ({"trouble": "offline"}, "Cannot reach the server"),
    ({"trouble": "not-found"}, "There is no such recording"),
    ({"trouble": "denied"}, "This recording needs a personal link"),
    ({"trouble": "denied", "hasToken": True}, "This link has expired"),
    ({"vod": {"status": "not-begun"}}, "This event has not begun"),
    ({"vod": {"status": "live"}}, "This event is live"),
    ({"vod": {"status": "making"}}, "The recording is being made"),
    ({"vod": {"status": "failed"}}, "The recording could not be made"),
    ({"vod": {"status": "ready"}, "trouble": "broken"}, "The recording cannot be played now"),
    (
        {"vod": {"status": "ready"}, "trouble": "unsupported"},
        "This browser cannot play the recording",
    ),
    ({"vod": {"status": "ready"}}, None),
]
"""What is known, and what covers the picture."""


def test_the_overlay_says_why_nothing_plays() -> None:
    base = {"vod": None, "trouble": None, "hasToken": False}
    found = calls("vod-messages.js", "vodOverlay", [[base | known] for known, _ in OVERLAYS])
    assert [view and view["title"] for view in found] == [title for _, title in OVERLAYS]


def test_files_in_words() -> None:
    file = {"name": "archive.mp4", "rendition": "video", "bytes": 4_200_000}
    said = calls("vod-messages.js", "downloadText", [[file, 1], [file, 2]])
    assert said == ["Download MP4 (4.2 MB)", "archive.mp4 (4.2 MB)"]
    ready = {"status": "ready", "downloads": []}
    assert "being made" in call("vod-messages.js", "downloadNote", ready)


def test_clips_in_words() -> None:
    stretches = [(None, 2), (3, 3), (1, 3602), (1, 2.5)]
    troubles = calls("vod-messages.js", "clipTrouble", stretches)
    assert [bool(one) for one in troubles] == [True, True, True, False]
    running = {"state": "running", "progress": 0.42, "error": None}
    dead = {"state": "dead", "progress": 0, "error": "nothing was recorded"}
    half, failed = calls("vod-messages.js", "clipText", [[running], [dead]])
    assert half == "Being made, 42 %."
    assert "nothing was recorded" in failed
