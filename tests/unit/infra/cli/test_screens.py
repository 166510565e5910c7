"""What is seen of an event: a line for every message, or all of it at once."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from infra.cli.messages import about, line
from infra.cli.screens import Found, JsonLines, Lines, Picture
from infra.client.models import Event, Job, Message, Reading

NOW = datetime(2030, 6, 1, 18, 30, tzinfo=UTC)


def message(type_: str, /, **data: Any) -> Message:
    return Message(type=type_, id="msg_1", timestamp=NOW, event="ev_1", data=data, sequence="7")


def event(**fields: Any) -> Event:
    place = {"connected": False}
    known: dict[str, Any] = {
        "id": "ev_1", "name": "Launch [day]", "state": "live", "starts_at": None, "ends_at": None,
        "time_zone": None, "starts_at_local": None, "ends_at_local": None, "lobby_opens_at": None,
        "lobby_opens_s": 900, "auto_start": "on_publish", "auto_end": False, "end_grace_s": 300,
        "access": "public", "takeover": False, "reconnect_window_s": 60, "target_duration_s": 2,
        "renditions": [], "dvr_window_s": 0, "latency": "realtime", "cold_functions": None,
        "labels": {}, "metadata": {}, "created_at": NOW, "updated_at": NOW,
        "started_at": datetime(2030, 6, 1, 18, tzinfo=UTC), "ended_at": None,
        "ingest": {
            "primary": {"connected": True}, "backup": place, "active": "primary", "srt": None,
            "whip": None, "recent": [
                {"at": NOW, "type": "x.warning", "message": "no keyframe for 4 s", "detail": {}}
            ],
        },
        "playback": {"hls_url": "", "whep_url": "", "player_url": "", "vod_url": ""},
        "recording": {"enabled": True, "degraded": False},
    }  # fmt: skip
    return Event.model_validate({**known, **fields})


def job(function: str = "archive", state: str = "running") -> Job:
    known: dict[str, Any] = {"id": "job_1", "function": function, "state": state}
    return Job.model_construct(**known, progress=0.4)


def reading() -> Reading:
    source: dict[str, Any] = {
        "role": "primary", "protocol": "srt", "on_air": True, "kbps": 4200, "fps": 29.97, "lost": 0,
        "resent": 0, "damaged": 0, "rtt_ms": 21, "latency_ms": 120, "silent": False,
    }  # fmt: skip
    silent = {**source, "role": "backup", "protocol": "whip", "fps": None, "silent": True}
    viewers = {"whep": 12, "hls": 340}
    known = {"event": "ev_1", "at": NOW, "sources": [source, silent], "viewers": viewers}
    return Reading.model_validate({**known, "stages": {}})


def drawn(picture: Picture) -> str:
    screen = io.StringIO()
    Console(width=100, file=screen).print(picture.draw())
    return screen.getvalue()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (message("event.live", name="x", state="live", previous="lobby"), "lobby → live"),
        (message("event.updated", changed=["name", "access"]), "name, access"),
        (
            message("ingest.warning", code="c", message="no keyframe", place="primary"),
            "no keyframe",
        ),
        (
            message("ingest.connected", place="primary", protocol="srt"),
            "place=primary protocol=srt",
        ),
        (message("event.key_rotated"), ""),
        (
            message("asset.ready", asset="as_1", kind="clip", key="vod/x", bytes=5),
            "kind=clip bytes=5",
        ),
        (message("job.succeeded", job="job_1", cost={"wall_ms": 1}), "job=job_1"),
    ],
)
def test_a_message_in_words(said: Message, words: str) -> None:
    assert about(said) == words


def test_a_line_says_when_and_what() -> None:
    said = message("event.live", state="live", previous="lobby")
    assert line(said) == "2030-06-01T18:30:00Z  event.live            lobby → live"


def test_lines_begin_with_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Lines(lambda _said: None)
    screen.found(Found(event()))
    screen.found(Found(event(state="ended")))
    screen.heard(message("event.ended", state="ended", previous="live"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("Launch [day]: live")
    assert "event.ended" in second


def test_a_lost_connection_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    screen = JsonLines(said.append)
    for _ in range(3):
        screen.lost("no answer")
    screen.found(Found(event()))
    screen.lost("no answer")
    assert said == ["no answer", "no answer"]
    screen.heard(message("event.live"))
    (shown,) = capsys.readouterr().out.splitlines()
    assert json.loads(shown)["sequence"] == "7"


def test_a_picture_has_state_encoders_warnings_jobs_and_what_was_heard() -> None:
    picture = Picture(lambda: NOW)
    assert "connecting" in drawn(picture)
    picture.found(Found(event(), [job("thumbnails", "succeeded"), job()], reading()))
    picture.heard(message("event.live", state="live", previous="lobby"))
    shown = drawn(picture)
    for words in (
        "Launch [day] (ev_1)", "live for 0:30:00", "primary on the air", "no keyframe for 4 s",
        "archive running 40 %", "lobby → live", "srt 4.2 Mbit/s, 30 pictures/s, round trip 21 ms",
        "whip sends nothing", "12 by WebRTC, 340 by LL-HLS",
    ):  # fmt: skip
        assert words in shown
    assert "thumbnails" not in shown
    picture.lost("no answer; it is tried again")
    assert "no answer" in drawn(picture)
    picture.found(Found(event()))
    assert "no answer" not in drawn(picture)


def test_a_picture_counts_down_to_the_start() -> None:
    picture = Picture(lambda: NOW)
    starts_at = datetime(2030, 6, 1, 20, 0, 5, tzinfo=UTC)
    picture.found(Found(event(state="scheduled", started_at=None, starts_at=starts_at)))
    assert "scheduled starts in 1:30:05" in drawn(picture)


def test_a_picture_keeps_a_few_lines() -> None:
    picture = Picture(lambda: NOW)
    picture.found(Found(event()))
    for number in range(100):
        picture.heard(message("event.updated", changed=[f"n{number}"]))
    shown = drawn(picture)
    assert "n99" in shown
    assert "n91" not in shown
