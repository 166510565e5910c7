"""The media node, checked from outside: no rule is broken."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url

pytestmark = [pytest.mark.integration, pytest.mark.alone]

SECONDS = 15
AWAY_S = 3
"""Long enough for the slate."""
SEEN_AT_LEAST = 95


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


def test_a_live_programme_keeps_the_rules(tmp_path: Path) -> None:
    one = event()
    with MediaProcess(tmp_path / "data") as media:
        media.want(one)
        media.start()
        with encoding(srt_url(media, one)):
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 1)
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(one)}/index.m3u8"
            process = check(url, tmp_path / "found.json", "--seconds", str(SECONDS))
            output, errors = process.communicate(timeout=SECONDS + 30)
    found = verdicts(tmp_path / "found.json")
    assert broken(found) == []
    assert process.returncode == 0, errors
    assert sum(rule["verdict"] == "ok" for rule in found.values()) >= SEEN_AT_LEAST
    assert " rules" in output.splitlines()[-1]


def test_a_programme_whose_publisher_is_away_for_a_while_and_that_ends_keeps_the_rules(
    tmp_path: Path,
) -> None:
    # One that says goodbye: of one that does not, it takes a while to tell (docs/ll-hls.md).
    one = event(reconnect_window_s=AWAY_S + 3)
    with MediaProcess(tmp_path / "data") as media:
        media.want(one)
        media.start()
        with encoding(srt_url(media, one), goodbye=True):
            media.until(key_of(one), lambda playlist: len(playlist.segments) >= 1)
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(one)}/index.m3u8"
            process = check(url, tmp_path / "found.json", "--until-end", "--seconds", "8")
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
