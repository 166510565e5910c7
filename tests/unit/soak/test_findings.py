"""Which bars a soak broke, and how that reads."""

import io
from typing import Any

import pytest
from rich.console import Console

from tests.soak.findings import Findings, Memory, clock, growth

CLIENTS = 10
SECONDS = 1200.0


def stretch(*broken: tuple[str, str], begin: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "from_s": begin, "to_s": begin + 45, "versions": 900, "files": 1000, "cases": 40_000,
        "lag_ms": 30, "cpu_s": 3.0, "seen": ["6.2.1", "6.2.2"],
        "broken": [
            {"rule": rule, "level": level, "evidence": "s7.m4s: HTTP 404", "times": 1}
            for level, rule in broken
        ],
        **more,
    }  # fmt: skip


def report(**more: Any) -> dict[str, Any]:
    return {
        "players": CLIENTS, "playing": CLIENTS, "cpu_s": 60.0, "playlists": 500, "parts": 500,
        "bytes": 5_000_000, "errors": {}, "stale": 0, "missed": 0, "gaps": 0, "stalls": 0,
        "stalled_ms": 0.0, "changes": 3, "joins": 2, "never": 0,
        **more,
    }  # fmt: skip


@pytest.fixture
def findings() -> Findings:
    """A soak that broke no bar: it grew at first, and hardly later."""
    found = Findings(CLIENTS, SECONDS)
    for at in range(0, int(SECONDS), 5):
        rss = {"hotpath": 100_000 + min(at, 300) * 200 + at // 4, "ladder": 50_000}
        found.memory.append(Memory(at, rss))
    found.hear_rules(stretch())
    found.hear_players(report())
    return found


def test_a_good_run_has_no_problem(findings: Findings) -> None:
    assert findings.problems() == []
    assert findings.as_json()["ok"] is True
    assert "No bar was broken" in printed(findings)


def test_growth_is_the_slope_over_the_last_half() -> None:
    flat = [Memory(s, {"a": 500 if s >= 50 else 10 * s}) for s in range(0, 101, 5)]
    assert growth(flat) == pytest.approx(0)
    rising = [Memory(60 * minute, {"a": 2048 * minute, "b": 1024}) for minute in range(10)]
    assert growth(rising) == pytest.approx(2.0)
    assert growth(rising, "a") == pytest.approx(2.0)
    assert growth(rising, "b") == pytest.approx(0)
    assert growth(rising[:1]) == growth([]) == 0.0


def test_a_process_that_grows_is_a_problem_once_it_ran_long_enough(findings: Findings) -> None:
    grown = [Memory(s.at_s, {"hotpath": int(1024 * 1.1 * s.at_s / 60)}) for s in findings.memory]
    findings.memory = grown
    assert findings.problems() == ["the media process grew by 1.10 MB a minute"]
    findings.memory = grown[:60]
    assert findings.problems() == []
    assert "too short to be judged" in printed(findings)


def test_a_broken_must_is_named_with_its_time_and_a_broken_should_is_told(
    findings: Findings,
) -> None:
    findings.hear_rules(
        stretch(("MUST", "6.2.2-removed-part"), ("SHOULD", "6.2.1-gzip"), begin=725)
    )
    assert findings.problems() == ["12:05–12:50 MUST 6.2.2-removed-part: s7.m4s: HTTP 404"]
    text = printed(findings)
    assert "SHOULD 6.2.1-gzip" in text
    assert "12:05–12:50 MUST 6.2.2-removed-part" in text


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda f: f.hear_players(report(errors={"HTTP 404": 2})), "2 players met HTTP 404"),
        (lambda f: setattr(f, "most", 9), "9 of 10 players were there at the same time"),
        (lambda f: f.hear_players(report(never=2)), "2 players that joined never began to play"),
        (lambda f: f.hear_players(report(stalled_ms=130_000)), "players stood still 1.08 % of"),
        (lambda f: f.hear_rules(stretch(failure="HTTP 500", begin=60)), "01:00 HTTP 500"),
        (lambda f: f.stretches.clear(), "no stretch was judged"),
        (lambda f: f.failures.append("a rendition was trimmed"), "a rendition was trimmed"),
    ],
)
def test_every_other_broken_bar_is_named(findings: Findings, damage: Any, problem: str) -> None:
    damage(findings)
    assert len(findings.problems()) == 1
    assert findings.problems()[0].startswith(problem)
    assert findings.as_json()["ok"] is False
    assert problem in printed(findings)


def test_json_and_table_have_the_figures(findings: Findings) -> None:
    findings.cpu_s["media"] = 600.0
    body = findings.as_json()
    assert body["rules"]["stretches"] == 1
    assert body["rules"]["seen"] == 2
    assert body["memory"]["judged"] is True
    assert body["cores"] == {"rules": 0.003, "players": 0.05, "media": 0.5}
    text = printed(findings)
    for figure in ("20:00 with 10 players at once", "0 MUST, 0 SHOULD", "hotpath", "media 0.50"):
        assert figure in text


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.9, 60, 3725)] == ["00:00", "00:59", "01:00", "62:05"]


def printed(findings: Findings) -> str:
    output = io.StringIO()
    findings.print(Console(file=output, width=160))
    return output.getvalue()
