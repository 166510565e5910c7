"""What the operator page makes of what the API says: its pure modules, run by Node."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.jobs.states import JobState
from infra.lifecycle import EventState
from infra.telemetry.stages import STAGES
from infra.web import pages
from infra.webhooks.deliveries import DeliveryState
from tests.support.node import evaluate

NOW = 1_900_000_000_000
AT = "2030-03-17T17:46:40.000Z"
SOURCE: dict[str, Any] = {
    "role": "primary", "protocol": "srt", "on_air": True, "kbps": 2500, "fps": 30, "lost": 0,
    "resent": 0, "damaged": 0, "rtt_ms": 4, "latency_ms": 120, "silent": False,
}  # fmt: skip


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(NOW / 1000 - seconds, UTC).isoformat()


def reading(*sources: dict[str, Any], at: str = AT) -> dict[str, Any]:
    return {"at": at, "sources": list(sources), "viewers": {"whep": 1, "hls": 2}, "stages": {}}


def event(**known: Any) -> dict[str, Any]:
    apart = {"connected": False}
    base = {
        "id": "ev_1", "name": "Launch", "state": "live", "started_at": AT, "starts_at": None,
        "primary": apart, "backup": apart, "recording_degraded": False, "recent": [],
        "reading": reading(SOURCE),
    }  # fmt: skip
    return base | known


def healths(*events: dict[str, Any]) -> list[tuple[str, str]]:
    """Of each the level, and everything that is said."""
    all_found = evaluate(
        "operator/health.js",
        f"return {json.dumps(events)}.map((one) => module.healthOf(one, {NOW}));",
    )
    return [(one["level"], " ".join(words for _, words in one["findings"])) for one in all_found]


def health(**known: Any) -> tuple[str, str]:
    return healths(event(**known))[0]


def events_of(chunks: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = evaluate(
        "operator/sse.js",
        "const parser = new module.EventParser();"
        f"return {json.dumps(chunks)}.flatMap((chunk) => parser.feed(chunk));",
    )
    return found


def test_a_stream_is_read_however_it_is_cut() -> None:
    text = ": hello\n\nid: 7\nevent: event.live\ndata: {\ndata:  1}\n\nretry: 2000\n\n"
    whole = events_of([text])
    assert whole == [
        {"event": "event.live", "data": "{\n 1}", "id": "7", "retry": None},
        {"event": None, "data": None, "id": None, "retry": 2000},
    ]
    windows = text.replace("\n", "\r\n")
    assert events_of(list(text)) == events_of(list(windows)) == events_of([windows]) == whole


def test_what_is_not_ended_is_no_event() -> None:
    assert events_of(["data: 1\n", "data: 2"]) == []


FOLLOWED = """
const { Refused } = await import(new URL("operator/api.js", STATIC));
const asked = [], heard = [], states = [];
const answers = [
  () => new Response('id: 7\\n\\nid: 8\\nevent: event.live\\ndata: {"a": 1}\\n\\ndata: what\\n\\n'),
  () => { throw new Refused(0); },
  () => { throw new Refused(503); },
  () => new Response('id: 9\\ndata: {"a": 2}\\n\\ndata: {"a": 3}'),
  () => { throw new Refused(403, { detail: "no" }); },
];
const api = {
  open: async (path, { lastEventId }) => { asked.push(lastEventId); return answers.shift()(); },
};
const follower = new module.Follower(api, "/v1/stream", 1);
follower.addEventListener("message", ({ detail }) => heard.push([detail.event, detail.data.a]));
follower.addEventListener("state", () => states.push(follower.state));
await follower.run();
return { asked, heard, states, why: follower.refusal.words };
"""


def test_a_stream_that_was_lost_goes_on_behind_what_was_heard() -> None:
    static = pages.STATIC.as_uri() + "/"
    found = evaluate("operator/follower.js", f"const STATIC = {json.dumps(static)}; {FOLLOWED}")
    assert found["asked"] == [None, "8", "8", "8", "9"]
    assert found["heard"] == [["event.live", 1], [None, 2]]
    assert found["states"] == ["open", "lost", "open", "lost", "refused"]
    assert found["why"] == "No."


def test_every_word_of_the_api_has_one_for_people() -> None:
    names: dict[str, list[str]] = {
        "stateWord": [state.value for state in EventState],
        "jobWord": [state.value for state in JobState],
        "deliveryWord": [state.value for state in DeliveryState],
        "stageWords": list(STAGES),
    }
    said = evaluate(
        "operator/words.js",
        f"return Object.entries({json.dumps(names)})"
        ".map(([name, values]) => values.map((one) => [module[name](one)].flat()[0]));",
    )
    for words, values in zip(said, names.values(), strict=True):
        assert not set(words) & set(values)


SAID = {
    "bitrate(640)": "640 kbit/s",
    "bitrate(999.6)": "1.0 Mbit/s",
    "bitrate(2480)": "2.5 Mbit/s",
    "share(0)": "none",
    "share(0.0004)": "under 0.1 %",
    "share(0.012)": "1.2 %",
    "share(0.5)": "50 %",
    "milliseconds(3.21)": "3.2 ms",
    "milliseconds(240)": "240 ms",
    "milliseconds(1240)": "1.2 s",
    "bytes(12)": "12 B",
    "bytes(1_240_000)": "1.2 MB",
    "span(-5)": "0 s",
    "span(59_400)": "59 s",
    "span(61_000)": "1 min 01 s",
    "span(3_900_000)": "1 h 05 min",
    "span(5 * 86_400_000)": "5 days",
    "count(1, 'job')": "1 job",
    "count(1200, 'delivery', 'deliveries')": "1,200 deliveries",
}


def test_numbers_are_said_as_exactly_as_they_help() -> None:
    calls = ", ".join(f"module.{call}" for call in SAID)
    assert evaluate("operator/words.js", f"return [{calls}];") == list(SAID.values())


def test_a_job_that_cost_nothing_yet_says_nothing_of_it() -> None:
    rows = evaluate(
        "operator/words.js",
        "return [{}, { wall_ms: 1200, bytes_in: 3e6 }].map(module.costRows);",
    )
    assert rows == [[], [["Time", "1.2 s"], ["Read", "3.0 MB"]]]


def test_a_healthy_event_says_what_arrives() -> None:
    assert health() == ("good", "2.5 Mbit/s, 30 pictures a second, nothing lost.")


FLAWS: list[tuple[dict[str, Any], str, str]] = [
    ({"silent": True}, "bad", "sends nothing"),
    ({"lost": 0.02}, "bad", "2.0 % of the packets never arrive"),
    ({"lost": 0.002}, "warn", "never arrive"),
    ({"resent": 0.06}, "warn", "sent again"),
    ({"rtt_ms": 60}, "warn", "raise it to 240 ms"),
    ({"rtt_ms": 60, "latency_ms": None}, "good", ""),
    ({"damaged": 1}, "warn", "1 picture came with holes"),
    ({"fps": 4}, "warn", "4.0 pictures a second"),
    ({"fps": 0}, "good", "2.5 Mbit/s, nothing lost"),
]


def test_a_flaw_of_what_arrives_is_told() -> None:
    found = healths(*(event(reading=reading(SOURCE | source)) for source, _, _ in FLAWS))
    for (source, level, words), said in zip(FLAWS, found, strict=True):
        assert (said[0], words in said[1]) == (level, True), (source, said)


def test_an_event_without_an_encoder_or_figures_says_so() -> None:
    assert health(state="reconnecting")[0] == "bad"
    assert health(reading=reading())[0] == "bad"
    old = health(reading=reading(SOURCE, at=ago(25)))
    assert old == ("warn", "No figures from the media node for 25 s.")
    assert health(reading=None, started_at=ago(3))[0] == "good"
    assert "25 s" in health(reading=None, started_at=ago(25))[1]
    standby = SOURCE | {"role": "backup", "on_air": False, "silent": True}
    assert health(reading=reading(SOURCE, standby))[0] == "warn"


def test_the_worst_comes_first_and_nothing_twice() -> None:
    notice = {"at": ago(10), "type": "ingest.warning", "message": "keyframes are 9 s apart"}
    level, words = health(recent=[notice, notice], recording_degraded=True)
    assert level == "bad"
    assert words.startswith("A part of the recording is lost.")
    assert words.count("Keyframes are 9 s apart") == 1
    detail = {"code": "source-lost"}
    newest, older = ({**notice, "message": text, "detail": detail} for text in ("twice", "once"))
    words = health(recent=[newest, older])[1]
    assert ("Twice" in words, "Once" in words) == (True, False)


def test_what_is_measured_now_is_not_told_from_then() -> None:
    notice = {"at": ago(10), "type": "ingest.warning", "message": "x", "detail": {"code": "loss"}}
    assert health(recent=[notice])[0] == "good"
    assert health(recent=[notice], reading=None, started_at=ago(3))[0] == "warn"


def test_an_old_warning_or_a_harmless_notice_is_not_held_against_an_event() -> None:
    old = {"at": ago(130), "type": "ingest.warning", "message": "x"}
    harmless = {"at": ago(1), "type": "publisher.connected", "message": "an encoder connected"}
    assert health(recent=[old, harmless])[0] == "good"


def test_an_event_that_comes_is_told_of_when_its_encoder_is_late() -> None:
    def coming(left: float, *, connected: bool = False) -> dict[str, Any]:
        known = {"starts_at": ago(-left), "primary": {"connected": connected}, "reading": None}
        return event(state="lobby", **known)

    found = healths(coming(3600), coming(300), coming(-60), coming(-60, connected=True))
    assert [level for level, _ in found] == ["idle", "warn", "bad", "good"]


def test_attention_lists_what_wants_a_person_the_worst_first() -> None:
    hook = {
        "id": "wh_1", "url": "https://h.example", "description": "", "enabled": True,
        "disabled_reason": None, "failing_since": None,
    }  # fmt: skip
    overview = {
        "events": {
            "items": [
                event(),
                event(id="ev_2", reading=reading(SOURCE | {"resent": 0.1})),
                event(id="ev_3", state="reconnecting"),
                event(id="ev_4", state="ended", recording_degraded=True),
            ]
        },
        "jobs": {"counts": [{"state": "dead", "count": 2}, {"state": "running", "count": 1}]},
        "webhooks": [
            {"webhook": hook, "failed": 1},
            {"webhook": hook | {"id": "wh_2"}, "failed": 0},
            {"webhook": hook | {"id": "wh_3", "enabled": False}, "failed": 3},
            {"webhook": hook | {"id": "wh_4", "disabled_reason": "gone"}, "failed": 0},
        ],
    }
    found = evaluate(
        "operator/health.js",
        f"return module.attention({json.dumps(overview)}, {NOW}).map(({{ key }}) => key);",
    )
    assert found == ["ev_3", "wh_4", "ev_2", "jobs", "wh_1"]
    nothing = {"events": {"items": []}, "jobs": None, "webhooks": None}
    body = f"return module.attention({json.dumps(nothing)}, {NOW});"
    assert evaluate("operator/health.js", body) == []


def test_a_history_has_each_reading_once_in_order_and_no_more_than_an_hour() -> None:
    found = evaluate(
        "operator/history.js",
        """const history = new module.History();
        const at = (n) => ({ at: new Date(n * 5000).toISOString(), n });
        history.add([at(3), at(1)]);
        history.add([at(2), at(3)]);
        const first = history.readings.map(({ n }) => n);
        history.add(Array.from({ length: 1000 }, (_, n) => at(n)));
        const series = history.series((one) => one.n, 999 * 5000);
        const starts = [60_000, 2_000_000].map((span) => history.from(4_995_000, span));
        return [first, history.readings.length, series, starts];""",
    )
    assert found == [
        [1, 2, 3],
        720,
        [{"at": 4_995_000, "value": 999}],
        [4_935_000, 2_995_000],
    ]


def test_a_chart_begins_with_the_first_reading_and_shows_a_minute_at_least() -> None:
    begins = evaluate(
        "operator/history.js",
        """const history = new module.History();
        const none = history.from(1_000_000, 900_000);
        history.add([{ at: new Date(995_000).toISOString() }]);
        const one = history.from(1_000_000, 900_000);
        history.add([{ at: new Date(500_000).toISOString() }]);
        return [none, one, history.from(1_000_000, 900_000)];""",
    )
    assert begins == [940_000, 940_000, 500_000]


def lines(series: list[tuple[int, float | None]]) -> list[str]:
    points = [{"at": at * 1000, "value": value} for at, value in series]
    where = {"from": 0, "to": 100_000, "width": 100, "height": 50, "top": 10}
    found: list[str] = evaluate(
        "operator/history.js",
        f"return module.polylines({json.dumps(points)}, {json.dumps(where)});",
    )
    return found


def test_a_line_breaks_where_readings_are_missing() -> None:
    assert lines([(0, 0), (5, 10), (10, 20)]) == ["0.0,50.0 5.0,0.0 10.0,0.0"]
    assert lines([(0, 5), (5, 5), (60, 5), (65, 5)]) == [
        "0.0,25.0 5.0,25.0",
        "60.0,25.0 65.0,25.0",
    ]
    assert lines([(0, 5), (5, None), (10, 5)]) == ["0.0,25.0 0.0,25.0", "10.0,25.0 10.0,25.0"]
    assert lines([]) == []


def test_the_upper_edge_of_a_chart_is_a_round_value() -> None:
    tops = evaluate(
        "operator/history.js",
        "return [[0, 5], [2500, 100], [9.5, 1], [0.004, 0.01]].map((x) => module.topFor(...x));",
    )
    assert tops == pytest.approx([5, 3000, 15, 0.01])
