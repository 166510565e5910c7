"""`livepath events` against an API on a real socket."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.cli import event_work, events
from infra.lifecycle import Trigger
from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, NOW_MS, Deployment
from tests.integration.infra.control.rows import add_functions, add_job, advance

pytestmark = pytest.mark.integration
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.fixture
def terminal(served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for commands in (events, event_work):
        monkeypatch.setattr(commands, "_now", lambda: NOW)
    return Terminal("events", served, KEY, tmp_path)


async def shown(terminal: Terminal, *words: str) -> Any:
    done = await terminal.run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


async def test_an_event_is_made_with_everything_that_can_be_said_of_it(
    terminal: Terminal,
) -> None:
    made = await shown(
        terminal,
        *("create", "Launch [day]", "--starts-at", "2030-12-01 18:00", "--duration", "1h30m"),
        *("--time-zone", "Europe/Vienna", "--access", "token", "--rendition", "720p"),
        *("--rendition", "audio-only", "--dvr", "2h", "--latency", "low", "--label", "team=sales"),
        *("--metadata", '{"room": 3}', "--function", "archive", "--auto-start", "at_time"),
        *("--auto-end", "--end-grace", "1m", "--lobby-opens", "10m", "--reconnect-window", "90s"),
        *("--takeover", "--target-duration", "1s"),
    )
    assert made["name"] == "Launch [day]"
    assert made["starts_at_local"] == "2030-12-01T18:00:00+01:00"
    assert made["ends_at"] == "2030-12-01T18:30:00Z"
    assert (made["access"], made["latency"], made["auto_start"]) == ("token", "low", "at_time")
    assert (made["dvr_window_s"], made["lobby_opens_s"], made["end_grace_s"]) == (7200, 600, 60)
    assert (made["reconnect_window_s"], made["target_duration_s"]) == (90, 1)
    assert (made["takeover"], made["auto_end"]) == (True, True)
    assert made["renditions"] == ["720p", "audio-only"]
    assert (made["labels"], made["metadata"]) == ({"team": "sales"}, {"room": 3})
    assert made["cold_functions"] == ["archive"]
    screen = "\n".join(await terminal.lines("show", made["id"]))
    for words in ("Launch [day]", "2030-12-01T18:00:00+01:00", "srt://media.test", "team=sales"):
        assert words in screen


async def test_events_are_found_by_filters(terminal: Terminal, deployment: Deployment) -> None:
    ids = []
    for name, team in (("One", "a"), ("Two", "b"), ("Three", "a")):
        deployment.now_ms += 1
        ids += await terminal.lines("create", name, "--label", f"team={team}", "--quiet")
    one, two, three = ids

    async def listed(*words: str) -> list[str]:
        return [line.split()[0] for line in (await terminal.lines("ls", *words))[1:]]

    assert await listed() == [three, two, one]
    assert await listed("--label", "team=a", "--limit", "1") == [three]
    assert await listed("--search", "tw") == [two]
    assert await listed("--state", "live", "--state", "cancelled") == []
    assert await listed("--starts-after", "now") == []
    assert [item["id"] for item in await shown(terminal, "ls", "--limit", "2")] == [three, two]


async def test_times_of_an_event_are_changed_in_its_own_zone(terminal: Terminal) -> None:
    made = await shown(terminal, "create", "e", "--time-zone", "America/New_York", "--draft")
    assert made["state"] == "draft"
    words = ("--starts-at", "2030-07-01 20:00", "--ends-at", "2030-07-02T02:00:00Z")
    changed = await shown(
        terminal, "update", made["id"], *words, "--name", "n", "--if-match", made["etag"]
    )
    assert changed["starts_at_local"] == "2030-07-01T20:00:00-04:00"
    stale = await terminal.run("update", made["id"], "--name", "x", "--if-match", made["etag"])
    assert (stale.exit_code, "fix: " in stale.output) == (1, True)
    cleared = await shown(terminal, "update", made["id"], "--clear", "ends-at")
    assert (cleared["ends_at"], cleared["name"]) == (None, "n")
    relative = await shown(terminal, "update", made["id"], "--starts-at", "+30m")
    assert relative["starts_at"] == "2030-03-17T18:16:40Z"
    assert (await shown(terminal, "schedule", made["id"]))["state"] == "scheduled"
    (line,) = await terminal.lines("cancel", made["id"])
    assert line == f"{made['id']}: cancelled"


async def test_keys_are_rotated_and_viewers_let_in_and_called_back(terminal: Terminal) -> None:
    made = await shown(terminal, "create", "e", "--access", "token")
    rotated = await shown(terminal, "rotate-key", made["id"], "--keep-connected")
    assert rotated["ingest"]["srt"]["passphrase"] != made["ingest"]["srt"]["passphrase"]
    token = await shown(terminal, "token", made["id"], "--ttl", "2h", "--subject", "viewer-7")
    assert token["expires_at"] == "2030-03-17T19:46:40Z"
    screen = "\n".join(await terminal.lines("token", made["id"]))
    assert "http://control.test/watch/" in screen
    words = ("--role", "host", "--max-rendition", "720p", "--ip", "192.0.2.7", "--ip-exactly")
    assert (await shown(terminal, "token", made["id"], *words))["id"]
    (line,) = await terminal.lines("change-tier", made["id"], "viewer-7", "interactive")
    assert line == "viewer-7: interactive"
    (line,) = await terminal.lines("revoke", made["id"], "--subject", "viewer-7")
    assert line.endswith("called back viewer-7")


async def test_an_event_is_ended_and_its_archive_waited_for(
    terminal: Terminal, deployment: Deployment
) -> None:
    made = await shown(terminal, "create", "e")
    advance(deployment, made["id"], Trigger.PROGRAM_LIVE)
    assert (await shown(terminal, "end", made["id"]))["state"] == "ended"
    in_vain = await terminal.run("end", made["id"], "--wait", "--timeout", "0")
    assert (in_vain.exit_code, "waited 0 s" in in_vain.output) == (4, True)
    job = add_job(deployment, made["id"], state="dead")
    dead = await terminal.run("end", made["id"], "--wait")
    assert (dead.exit_code, f"{job} is dead" in dead.output) == (4, True)
    advance(deployment, made["id"], Trigger.ARCHIVE_READY)
    state, link = await terminal.lines("end", made["id"], "--wait")
    assert state == f"{made['id']}: archived"
    assert link.startswith("http://control.test/vod/")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "was never live"),
        (("--no-recording",), "is not recorded"),
        (("--function", "thumbnails"), "has no archive among"),
    ],
)
async def test_an_archive_that_never_comes_is_not_waited_for(
    terminal: Terminal, deployment: Deployment, words: tuple[str, ...], said: str
) -> None:
    add_functions(deployment, "thumbnails")
    (made,) = await terminal.lines("create", "e", "--quiet", *words)
    live = (Trigger.PROGRAM_LIVE, Trigger.PROGRAM_ENDED)
    advance(deployment, made, *(live if words else (Trigger.EXPIRE,)))
    done = await terminal.run("end", made, "--wait")
    assert (done.exit_code, said in done.output) == (4, True)


async def test_a_clip_is_made(terminal: Terminal, deployment: Deployment) -> None:
    add_functions(deployment, "clip-instant", "clip-exact")
    (event,) = await terminal.lines("create", "e", "--quiet")
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    deployment.now_ms += 60_000
    words = ("--start", "+5s", "--end", "+9s", "--title", "Goal", "--mode", "exact")
    clip = await shown(terminal, "clip", event, *words)
    assert (clip["start"], clip["end"]) == ("2030-03-17T17:46:45Z", "2030-03-17T17:46:49Z")
    assert (clip["title"], clip["mode"], clip["state"]) == ("Goal", "exact", "queued")
    waited = await terminal.run("clip", event, *words, "--wait", "--timeout", "0")
    assert (waited.exit_code, "waited 0 s for clip clip_" in waited.output) == (4, True)
    wrong = await terminal.run("clip", event, "--start", "5", "--last", "30s")
    assert (wrong.exit_code, "give one of both" in wrong.output) == (2, True)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("show", "ev_none"), 1, "fix: List"),
        (("show", ".."), 1, "is no id of a event"),
        (("create", "e", "--starts-at", "2030-03-31 02:30", "--time-zone", "Europe/Vienna"), 2,
         "clocks go forward"),
        (("create", "e", "--rendition", "9000p"), 1, "body.renditions.0"),
        (("create", "e", "--label", "team"), 2, "name=value"),
        (("update", "ev_1"), 2, "say what to change"),
        (("revoke", "ev_1"), 2, "give one of them"),
        (("ls", "--url", "x"), 2, "No such option"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_said_with_a_way_out(
    terminal: Terminal, words: tuple[str, ...], status: int, said: str
) -> None:
    done = await terminal.run(*words)
    assert (done.exit_code, "Traceback" in done.output) == (status, False)
    assert said in done.output


async def test_an_address_that_is_none_is_said(terminal: Terminal) -> None:
    done = await terminal.run("ls", LIVEPATH_API_URL="localhost:8080")
    assert (done.exit_code, "begins with http" in done.output) == (1, True)
