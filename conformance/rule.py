"""Rules and verdicts.

Invariant: a rule is a pure function of an observation; its verdict is BROKEN as soon as one case
is, and never ok without a case that was seen. Upstream: `observation`. Downstream: `report`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from conformance.observation import Observation

SHOWN = 3


class Level(Enum):
    MUST = "MUST"
    SHOULD = "SHOULD"


class Outcome(Enum):
    OK = "ok"
    BROKEN = "BROKEN"
    NOT_APPLICABLE = "not applicable"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a rule looked at; `kept` is None where the rule does not apply."""

    kept: bool | None
    words: str


def good(words: str) -> Case:
    return Case(True, words)


def bad(words: str) -> Case:
    return Case(False, words)


def no_matter(words: str) -> Case:
    return Case(None, words)


def case(kept: bool, words: str) -> Case:
    return Case(kept, words)


Check: TypeAlias = Callable[[Observation], Iterable[Case]]


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    level: Level
    requirement: str
    check: Check

    @property
    def section(self) -> str:
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    rule: Rule
    outcome: Outcome
    evidence: str
    cases: int
    """How many things were looked at."""
    broken: int


def must(id: str, requirement: str) -> Callable[[Check], Rule]:
    return lambda check: Rule(id, Level.MUST, requirement, check)


def should(id: str, requirement: str) -> Callable[[Check], Rule]:
    return lambda check: Rule(id, Level.SHOULD, requirement, check)


def judge(rule: Rule, seen: Observation) -> Verdict:
    """What the rule says of an observation."""
    broken: dict[str, None] = {}
    kept = breaks = 0
    last = reason = ""
    for one in rule.check(seen):
        if one.kept is None:
            reason = one.words
        elif one.kept:
            kept, last = kept + 1, one.words
        else:
            breaks += 1
            if len(broken) < SHOWN:
                broken[one.words] = None
    if breaks:
        more = f" (and more: {breaks} of {breaks + kept})" if breaks > len(broken) else ""
        return Verdict(rule, Outcome.BROKEN, "; ".join(broken) + more, breaks + kept, breaks)
    if kept:
        return Verdict(rule, Outcome.OK, last, kept, 0)
    if reason:
        return Verdict(rule, Outcome.NOT_APPLICABLE, reason, 0, 0)
    return Verdict(rule, Outcome.NOT_SEEN, "it did not come up", 0, 0)


_WEIGHT = (Outcome.NOT_APPLICABLE, Outcome.NOT_SEEN, Outcome.OK, Outcome.BROKEN)


def merged(earlier: Verdict, later: Verdict) -> Verdict:
    """The verdict over two stretches of one observation: the graver, and all cases."""
    graver = max(earlier, later, key=lambda verdict: _WEIGHT.index(verdict.outcome))
    return replace(graver, cases=earlier.cases + later.cases, broken=earlier.broken + later.broken)


def judge_all(rules: Sequence[Rule], seen: Observation) -> list[Verdict]:
    return [judge(rule, seen) for rule in rules]
