"""What the pages say, and what they read in SDP: the pure modules, run by Node."""

import json
from typing import Any

import pytest

from infra.lifecycle import EventState
from tests.support.node import evaluate


def call(calls: list[tuple[str, list[Any]]], module_name: str = "messages.js") -> list[Any]:
    """The results of several calls, in one process; `undefined` and NaN come back as None."""
    results: list[Any] = evaluate(
        module_name,
        f"const calls = {json.dumps(calls)};"
        "return calls.map(([name, args]) => module[name](...args));",
    )
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
        ({"state": "lobby"}, "off"),
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
        ({"event": {"state": "lobby"}, "startsInMs": 5}, "Starts in"),
        ({"event": {"state": "lobby"}}, "Starting soon"),
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


def test_the_lobby_counts_down_and_says_the_time_as_the_organiser_does() -> None:
    event = {
        "state": "lobby",
        "time_zone": "America/New_York",
        "starts_at_local": "2030-06-01T20:00:00-04:00",
    }
    shown = overlay(event=event, startsInMs=90_000)
    assert shown["countdown"] is True
    assert shown["text"] == "20:00 (America/New York). The picture appears by itself."
    assert overlay(event=event, startsInMs=0)["busy"] is True


@pytest.mark.parametrize("state", ["ended", "archived"])
def test_an_event_that_never_began_promises_no_recording(state: str) -> None:
    shown = overlay(event={"state": state, "started_at": None})
    assert shown["text"] == "Nothing was broadcast."
    began = overlay(event={"state": state, "started_at": "2030-06-01T18:00:00Z"})
    assert "recording" in began["text"]
    unrecorded = {"state": state, "started_at": "2030-06-01T18:00:00Z", "recorded": False}
    assert overlay(event=unrecorded)["text"] == "It was not recorded."


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


def test_statistics_leave_out_what_is_not_known() -> None:
    rtc = {
        **{"transport": "webrtc", "path": "relay/udp", "roundTripS": 0.0234, "jitterS": 0.0015},
        **{"packets": 990, "lost": 10, "bitrate": 2_400_000, "width": 1280, "height": 720},
        **{"fps": 29.97, "codec": "H264", "decoded": 90, "dropped": 1, "buffer": None},
    }
    rows, nothing = call([("statsRows", [rtc, 0.182]), ("statsRows", [{"transport": None}, None])])
    assert rows == [
        ["Transport", "WebRTC"],
        ["Path", "relay over UDP"],
        ["Behind live", "182 ms"],
        ["Round trip", "23 ms"],
        ["Jitter", "1.5 ms"],
        ["Lost packets", "10 of 1000 (1.0 %)"],
        ["Bit rate", "2.4 Mbit/s"],
        ["Picture", "1280 × 720, 30 fps"],
        ["Codec", "H264"],
        ["Frames", "90 decoded, 1 dropped"],
    ]
    assert nothing == []


def test_bit_rates() -> None:
    rates = [0, 812_400, 999_499, 999_500, 12_340_000, None]
    expected = ["0 kbit/s", "812 kbit/s", "999 kbit/s", "1.0 Mbit/s", "12.3 Mbit/s", ""]
    assert call([("rateText", [rate]) for rate in rates]) == expected


def test_ice_servers_are_read_from_link_headers_as_rfc_9725_writes_them() -> None:
    header = (
        '<stun:stun.example.net>; rel="ice-server", '
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="17:a;b,c"; '
        'credential="ab=/+\\"x"; credential-type="password", '
        '<https://m.example/index.m3u8>; rel="alternate"'
    )
    found, none, alternate = call(
        [("iceServersOf", [header]), ("iceServersOf", [None]), ("linkOf", [header, "alternate"])],
        "sdp.js",
    )
    turn = "turn:turn.example.net?transport=udp"
    assert found == [
        {"urls": "stun:stun.example.net"},
        {"urls": turn, "username": "17:a;b,c", "credential": 'ab=/+"x'},
    ]
    assert none == []
    assert alternate == "https://m.example/index.m3u8"


OFFER = """\
v=0
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96
a=mid:0
a=ice-ufrag:new
a=ice-pwd:newpwd
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:1
"""
ANSWER = """\
v=0
m=video 9 UDP/TLS/RTP/SAVPF 96
a=ice-ufrag:old
a=ice-pwd:oldpwd
a=candidate:1 1 udp 1 192.0.2.1 9 typ host
a=sendonly
"""


def test_an_ice_restart_sends_credentials_and_takes_the_servers() -> None:
    reply = "a=ice-ufrag:theirs\r\na=ice-pwd:theirpwd\r\na=candidate:1 1 udp 1 192.0.2.2 9 typ host"
    fragment, changed, kept = call(
        [
            ("restartFragment", [OFFER]),
            ("restartedAnswer", [ANSWER, reply]),
            ("restartedAnswer", [ANSWER, "a=ice-ufrag:x\na=ice-pwd:y"]),
        ],
        "sdp.js",
    )
    assert fragment.splitlines() == [
        "a=group:BUNDLE 0 1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        *("a=mid:0", "a=ice-ufrag:new", "a=ice-pwd:newpwd"),
    ]
    assert "old" not in changed
    assert "a=ice-ufrag:theirs" in changed
    assert "192.0.2.2" in changed
    assert "192.0.2.1" not in changed
    # A server that repeats no candidate keeps those that it gave.
    assert "192.0.2.1" in kept
    assert kept.endswith("a=sendonly\r\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "Allow them"),
        ("NotFoundError", "was found"),
        ("NotReadableError", "in use"),
        ("insecure", "HTTPS"),
        ("OddError", "OddError"),
    ],
)
def test_every_trouble_with_a_camera_says_what_to_do(name: str, words: str) -> None:
    [said] = call([("captureTrouble", [name, "camera"])], "publish-messages.js")
    assert words in said


def test_refusals_are_repeated_only_where_that_can_help() -> None:
    refused = [{"kind": "refused", "status": status} for status in (401, 403, 409, 422, 429, 503)]
    others = [{"kind": "unreachable", "status": 0}, {"kind": "no-path", "status": 0}]
    found = call([("worthRetrying", [one]) for one in refused + others], "publish-messages.js")
    assert found == [False, False, False, False, True, True, True, True]
    said = call([("publishTrouble", [one]) for one in refused + others], "publish-messages.js")
    assert all(said)


def warnings(**known: Any) -> str:
    stats = {"limitedBy": "none", "lostShare": 0, "roundTripS": 0.02, "fps": 30, "codec": "H264"}
    base = {"quality": {"fps": 30}, "level": -20, "silentS": 0}
    base |= {name: known.pop(name) for name in ("level", "silentS") if name in known}
    return " ".join(
        call([("warningsFor", [base | {"stats": stats | known}])], "publish-messages.js")[0]
    )


def test_a_publisher_without_trouble_is_left_alone() -> None:
    assert warnings() == ""


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"limitedBy": "bandwidth"}, "connection is too slow"),
        ({"limitedBy": "cpu"}, "too busy"),
        ({"lostShare": 0.1}, "loses packets"),
        ({"roundTripS": 0.9}, "slow to answer"),
        ({"fps": 9}, "Fewer pictures"),
        ({"codec": "VP8"}, "does not send H.264"),
        ({"level": None}, "No sound"),
        ({"silentS": 9}, "Nothing can be heard"),
        ({"level": -1}, "too loud"),
    ],
)
def test_a_publisher_is_warned_of(known: dict[str, Any], words: str) -> None:
    assert words in warnings(**known)


SOUND = {"rendition": "audio", "reason": "30% of the packets are lost"}


@pytest.mark.parametrize(
    ("rendition", "text"),
    [
        (None, ""),
        ({"rendition": "main", "reason": "the path has recovered"}, ""),
        ({}, ""),
        (SOUND, "Sound only. 30% of the packets are lost."),
        (
            {"rendition": "720p", "reason": "the path cannot take the rendition"},
            "Picture at 720p. The path cannot take the rendition.",
        ),
        ({"rendition": "360p"}, "Picture at 360p."),
    ],
)
def test_a_viewer_reads_what_it_gets_and_why(rendition: Any, text: str) -> None:
    live = {"event": {"state": "live"}, "playing": True, "muted": False, "rendition": rendition}
    assert call([("renditionText", [rendition]), ("noteFor", [live])]) == [text, text]


def test_sound_alone_is_said_over_the_picture_that_stands_still() -> None:
    live = {"state": "live"}
    shown = overlay(event=live, playing=True, rendition=SOUND)
    assert shown == {
        "kind": "busy",
        "title": "Sound only",
        "text": "30% of the packets are lost. The picture comes back by itself.",
        "announce": "Sound only. 30% of the packets are lost.",
    }
    assert overlay(event=live, playing=True, rendition={"rendition": "720p"}) is None
    lost = overlay(event=live, trouble="offline", playing=False, rendition=SOUND)
    assert lost["title"] == "Connection lost"
