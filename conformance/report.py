"""What the rules say, as a table and as JSON.

Pure: verdicts in, text out. Upstream: `command`.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.rule import Level, Outcome, Verdict

_STYLE = {
    Outcome.OK: "green",
    Outcome.BROKEN: "bold red",
    Outcome.NOT_APPLICABLE: "dim",
    Outcome.NOT_SEEN: "yellow",
}


def summary(verdicts: Sequence[Verdict]) -> str:
    """`N of M rules`: M are those that could be judged."""
    judged = [one for one in verdicts if one.outcome in (Outcome.OK, Outcome.BROKEN)]
    kept = [one for one in judged if one.outcome is Outcome.OK]
    broken = {
        level: sum(one.outcome is Outcome.BROKEN and one.rule.level is level for one in verdicts)
        for level in Level
    }
    words = f"{len(kept)} of {len(judged)} rules"
    if broken[Level.MUST] or broken[Level.SHOULD]:
        words += f"; {broken[Level.MUST]} MUST and {broken[Level.SHOULD]} SHOULD broken"
    left = len(verdicts) - len(judged)
    return words + (f"; {left} not applicable or not seen" if left else "")


def exit_status(verdicts: Sequence[Verdict]) -> int:
    """1 if a MUST is broken."""
    return int(
        any(one.outcome is Outcome.BROKEN and one.rule.level is Level.MUST for one in verdicts)
    )


def print_report(console: Console, url: str, verdicts: Sequence[Verdict]) -> None:
    table = Table(title=escape(url), title_justify="left", show_lines=False, expand=False)
    table.add_column("rule", no_wrap=True)
    table.add_column("level", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("requirement and evidence", overflow="fold")
    for one in verdicts:
        words = escape(one.rule.requirement)
        if one.outcome is not Outcome.NOT_SEEN:
            words += f"\n[dim]{escape(one.evidence)}[/dim]"
        verdict = f"[{_STYLE[one.outcome]}]{one.outcome.value}[/]"
        table.add_row(one.rule.id, one.rule.level.value, verdict, words)
    console.print(table)
    console.print(summary(verdicts), highlight=False)


def as_json(url: str, verdicts: Sequence[Verdict], *, lag_s: float) -> dict[str, Any]:
    return {
        "url": url,
        "summary": summary(verdicts),
        "observer_lag_ms": round(lag_s * 1000, 1),
        "rules": [
            {
                "id": one.rule.id,
                "section": one.rule.section,
                "level": one.rule.level.value,
                "requirement": one.rule.requirement,
                "verdict": one.outcome.value,
                "evidence": one.evidence,
                "cases": one.cases,
                "broken": one.broken,
            }
            for one in verdicts
        ],
    }
