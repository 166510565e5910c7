"""The report counts what could be judged; a MUST alone decides the exit status."""

import io
import json

from rich.console import Console

from conformance.report import as_json, exit_status, print_report, summary
from conformance.rule import Level, Outcome, Rule, Verdict, bad, good, judge, merged, no_matter
from tests.support.observed import observed

KEPT = Rule("6.2.1-x", Level.MUST, "x is kept", lambda seen: [good("here"), good("there")])
OUT = Rule("6.2.2-y", Level.MUST, "y matters", lambda seen: [no_matter("there is no y")])
BAD = Rule("6.2.2-z", Level.MUST, "z", lambda seen: [good("a"), *[bad(f"z {n}") for n in range(9)]])
WEAK = Rule("6.2.6-w", Level.SHOULD, "w", lambda seen: [bad("w [tag]")])
NONE = Rule("6.2.6-v", Level.MUST, "v", lambda seen: [])


def verdicts(*rules: Rule) -> list[Verdict]:
    return [judge(rule, observed()) for rule in rules]


def test_the_verdict_is_broken_when_one_case_is() -> None:
    (verdict,) = verdicts(BAD)
    assert verdict.outcome is Outcome.BROKEN
    assert (verdict.cases, verdict.broken) == (10, 9)
    assert verdict.evidence == "z 0; z 1; z 2 (and more: 9 of 10)"


def test_what_did_not_come_up_is_not_counted() -> None:
    found = verdicts(KEPT, OUT, NONE)
    assert [one.outcome for one in found[1:]] == [Outcome.NOT_APPLICABLE, Outcome.NOT_SEEN]
    assert summary(found) == "1 of 1 rules; 2 not applicable or not seen"


def test_a_should_does_not_fail_the_check() -> None:
    assert exit_status(verdicts(KEPT, WEAK)) == 0
    assert exit_status(verdicts(KEPT, BAD)) == 1
    assert summary(verdicts(BAD, WEAK)) == "0 of 2 rules; 1 MUST and 1 SHOULD broken"


def test_of_two_stretches_the_graver_verdict_counts() -> None:
    kept, broken, unseen = verdicts(KEPT, BAD, NONE)
    assert merged(kept, broken).outcome is Outcome.BROKEN
    assert merged(kept, broken).cases == 12
    assert merged(kept, unseen).outcome is Outcome.OK
    assert merged(unseen, kept).evidence == "there"


def test_the_table_and_the_json_say_the_same() -> None:
    found = verdicts(KEPT, BAD, WEAK)
    page = io.StringIO()
    print_report(Console(file=page, width=120), "http://x/index.m3u8", found)
    assert "w [tag]" in page.getvalue()
    assert "1 of 3 rules; 1 MUST and 1 SHOULD broken" in page.getvalue()
    written = json.loads(json.dumps(as_json("http://x", found, lag_s=0.0123)))
    assert written["observer_lag_ms"] == 12.3
    assert [rule["verdict"] for rule in written["rules"]] == ["ok", "BROKEN", "BROKEN"]
    assert written["rules"][1]["section"] == "6.2.2"
