"""The media node, checked from outside: no rule is broken."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.events.desired import DesiredEvent, DesiredMarker
from tests.support.desired import say
from tests.support.m3u8 import Playlist, attributes
from tests.support.measured import measured
from tests.support.media import ffmpeg
from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.timeout(240)]

WATCHED_S = 30.0
AWAY_S = 3
"""Long enough for the slate."""
SILENT_S = 9
SLATE_S = 2.0
"""By then it has begun: 1.2 s and a part, and something for a machine that is busy."""
ELSEWHERE = frozenset({
    "4.4.2.1", "4.4.2.2", "4.4.2.2-live", "4.4.3.4", "4.4.4.3-tracks", "4.4.4.4", "4.4.5.2",
    "4.4.5.3-ended", "4.4.6.2-frame-rate", "6.2.1-dated-discontinuity",
    "6.2.2-discontinuity-sequence", "6.2.3", "6.2.5.1-ended", "6.2.5.2-ended", "6.2.5.2-too-long",
    "6.2.6-lost", "B.1-h2",
})  # fmt: skip
"""What does not come up while a publisher sends one format, over plain HTTP."""
TOO_SHORT = frozenset({
    "6.2.2-expires-true", "6.2.2-length", "6.2.2-removed-segment", "6.2.2-three-targets",
    "6.2.2-type", "6.2.5.1", "6.2.5.1-boundary", "6.2.5.1-old-dateranges", "6.2.5.1-removed",
    "6.2.5.1-rest",
})  # fmt: skip
"""What needs more segments than are listed then, or some beyond the skip boundary."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A programme to be watched."""

    source: Callable[[MediaProcess, DesiredEvent], AbstractContextManager[None]]
    target_duration_s: int
    seconds: int
    later: int
    """The segment after which the last marker is made."""
    elsewhere: frozenset[str]
    """Rules that may not come up."""


def check(url: str, result: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", url, "--json", str(result), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def verdicts(result: Path) -> dict[str, dict[str, Any]]:
    return {rule["id"]: rule for rule in json.loads(result.read_text())["rules"]}


def broken(found: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{rule['level']} {id}: {rule['evidence']}"
        for id, rule in found.items()
        if rule["verdict"] == "BROKEN"
    ]


def until_watched(media: MediaProcess) -> None:
    """The checker, which takes a while to start, holds a blocking reload."""
    deadline = time.monotonic() + WATCHED_S
    while not re.search(r"^livepath_hls_waiting [1-9]", media.get("/metrics").text, re.MULTILINE):
        assert time.monotonic() < deadline, "nobody reloads the playlist"
        time.sleep(0.02)


@contextmanager
def steady(media: MediaProcess, one: DesiredEvent) -> Iterator[None]:
    """30 frames and a keyframe a second; AAC at 48 kHz."""
    with encoding(srt_url(media, one)):
        yield


@contextmanager
def film(media: MediaProcess, one: DesiredEvent) -> Iterator[None]:
    """24000/1001 frames a second, which 90 kHz cannot express; keyframes 0.5 to 1 s apart; AAC at
    44.1 kHz, whose frames fit no part as those of 48 kHz do."""
    process = subprocess.Popen(
        [
            *(ffmpeg(), "-v", "error", "-re", "-f", "lavfi"),
            *("-i", "testsrc2=size=320x180:rate=24000/1001", "-re", "-f", "lavfi"),
            *("-i", "sine=frequency=440:sample_rate=44100", "-c:v", "libx264"),
            *("-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
            *("-b:v", "600k", "-g", "1000", "-force_key_frames"),
            # GOPs of 24, 12, 20 and 16 frames.
            "expr:eq(mod(n,72),0)+eq(mod(n,72),24)+eq(mod(n,72),36)+eq(mod(n,72),56)",
            *("-c:a", "aac", "-ac", "1", "-f", "mpegts", srt_url(media, one)),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def announce(bus: ValkeyServer, media: MediaProcess, one: DesiredEvent, *, later: int) -> None:
    """A marker that says when it ends and one that is ended, then one after segment `later`: young
    enough to be in a delta update without those that are old."""
    key, now_ms = key_of(one), time.time_ns() // 1_000_000
    song = DesiredMarker(id="mk_song", kind="song", start_ms=now_ms, end_ms=now_ms + 60_000)
    poll = DesiredMarker(id="mk_poll", kind="poll", start_ms=now_ms, title="Who?")
    steps = (
        (0, (song, poll)),
        (0, (song, poll.model_copy(update={"end_ms": now_ms + 200}))),
        (later, (song, DesiredMarker(id="mk_late", kind="chapter", start_ms=now_ms + 8000))),
    )
    for revision, (msn, markers) in enumerate(steps, start=one.revision + 1):
        media.until(key, lambda found, msn=msn: found.segments[-1].msn >= msn)
        say(bus, one.model_copy(update={"revision": revision, "markers": markers}))
        media.until(key, partial(lists, marker=markers[-1]))


def lists(playlist: Playlist, marker: DesiredMarker) -> bool:
    tags = (attributes(value) for value in playlist.tags.get("#EXT-X-DATERANGE", []))
    found = [tag for tag in tags if tag["ID"] == marker.id]
    return bool(found) and (marker.end_ms is None or "END-DATE" in found[-1])


@pytest.mark.parametrize(
    "trial",
    [Trial(steady, 2, 15, 3, ELSEWHERE | TOO_SHORT), Trial(film, 1, 18, 12, ELSEWHERE)],
    ids=["steady", "film"],
)
@measured
def test_a_live_programme_with_markers_keeps_the_rules(
    tmp_path_factory: pytest.TempPathFactory, trial: Trial
) -> None:
    tmp_path = tmp_path_factory.mktemp("node")
    one = event(target_duration_s=trial.target_duration_s)
    (tmp_path / "bus").mkdir()
    with (
        ValkeyServer(tmp_path / "bus") as bus,
        MediaProcess(tmp_path / "data", bus_url=bus.url) as media,
    ):
        say(bus, one)
        media.start()
        with trial.source(media, one):
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 1)
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(one)}/index.m3u8"
            process = check(url, tmp_path / "found.json", "--seconds", str(trial.seconds))
            announce(bus, media, one, later=trial.later)
            output, errors = process.communicate(timeout=trial.seconds + 30)
    found = verdicts(tmp_path / "found.json")
    assert broken(found) == []
    assert process.returncode == 0, errors
    seen = {id for id, rule in found.items() if rule["verdict"] == "ok"}
    assert found.keys() - seen <= trial.elsewhere
    assert " rules" in output.splitlines()[-1]


@measured
def test_a_programme_whose_publisher_is_away_for_a_while_and_that_ends_keeps_the_rules(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("node")
    # One that says goodbye; the next test has one that does not.
    one = event(reconnect_window_s=AWAY_S + 3)
    with MediaProcess(tmp_path / "data") as media:
        media.want(one)
        media.start()
        with encoding(srt_url(media, one), goodbye=True):
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 1)
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(one)}/index.m3u8"
            process = check(url, tmp_path / "found.json", "--until-end", "--seconds", "8")
            until_watched(media)
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 3)
        time.sleep(AWAY_S)
        with encoding(srt_url(media, one), goodbye=True):
            media.until(key_of(one), lambda playlist: playlist.segments[-1].discontinuity >= 2)
            since = media.playlist(key_of(one)).segments[-1].msn
            media.until(key_of(one), lambda playlist: playlist.segments[-1].msn >= since + 2)
        output, _ = process.communicate(timeout=60)
    found = verdicts(tmp_path / "found.json")
    assert broken(found) == [], output
    ended = ("4.4.3.4", "4.4.5.3-ended", "6.2.5.1-ended", "6.2.5.2-ended")
    assert {id: found[id]["verdict"] for id in ended} == dict.fromkeys(ended, "ok")


@measured
def test_a_publisher_that_falls_silent_costs_the_cadence_of_parts_and_no_other_rule(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("node")
    # ADR 0023 says why there is nothing before the slate.
    one = event()
    with MediaProcess(tmp_path / "data") as media:
        media.want(one)
        media.start()
        with encoding(srt_url(media, one)):
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 1)
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(one)}/index.m3u8"
            process = check(url, tmp_path / "found.json", "--seconds", str(SILENT_S))
            until_watched(media)
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 2)
        # While the parts before the slate are listed.
        media.until(key_of(one), lambda playlist: playlist.segments[-1].discontinuity >= 1)
        texts = [media.get(f"/live/{key_of(one)}/{name}.m3u8").text for name in ("video", "audio")]
        output, _ = process.communicate(timeout=SILENT_S + 30)
    assert all("#EXT-X-PART" in text and "GAP" not in text for text in texts), texts
    found = verdicts(tmp_path / "found.json")
    assert len(broken(found)) == 1, output
    (cadence,) = broken(found)
    assert "6.2.1-new-part" in cadence, output
    # Once in each rendition, and then the slate is there.
    waits = [float(found) for found in re.findall(r"([0-9.]+) s after the last", cadence)]
    assert len(waits) <= 2, cadence
    assert max(waits) < SLATE_S, cadence
