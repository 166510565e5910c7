"""4.4.4.9, 6.2.1: a part that says GAP=YES is not there, and its segment's file may do without."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from conformance.boxes import Run
from conformance.observation import Fetched, Observation, Track
from conformance.rule import Outcome, judge
from conformance.rules import RULES
from tests.support.observed import PART_S, PARTS, every_track, observed, swap

BY_ID = {rule.id: rule for rule in RULES}
MSN = 5
"""The segment that has absent parts, in either rendition."""
ABSENT = [(0,), (2,), (3,), (0, 1), (1, 2), (0, 3), (0, 1, 2)]


def _without(found: Fetched, absent: tuple[int, ...]) -> tuple[Run, ...]:
    """The samples of a segment's file that begins with the first part that is there."""
    first = next(part for part in range(PARTS) if part not in absent)
    there = 1 - len(absent) / PARTS
    return tuple(
        replace(
            run,
            start_s=run.start_s + first * PART_S,
            duration_s=run.duration_s * there,
            samples=round(run.samples * there),
        )
        for run in found.runs
    )


def gaps(absent: tuple[int, ...], also: Callable[[Fetched], Fetched] = lambda one: one) -> Any:
    """Parts of segment `MSN` are listed as absent: hinted they are 404, and not asked for later."""
    names = [f"-{MSN}.{part}.m4s" for part in absent]

    def edit(text: str, name: str, parts: int) -> str:
        for one in names:
            text = swap(f'{name}{one}"', f'{name}{one}",GAP=YES')(text, name, parts)
            text = text.replace("GAP=YES,INDEPENDENT=YES", "GAP=YES")
        return text

    def file(found: Fetched) -> Fetched | None:
        if found.uri.endswith(tuple(names)):
            gone = replace(found.exchange, status=404, size=0)
            return replace(found, exchange=gone, runs=()) if found.kind == "hint" else None
        if found.kind == "segment" and found.msn == MSN:
            found = replace(found, runs=_without(found, absent))
        return also(found)

    def track(found: Track) -> Track:
        kept = (file(one) for one in found.fetched)
        return replace(found, fetched=tuple(one for one in kept if one is not None))

    return {"edit": edit, "change": every_track(track)}


@pytest.mark.parametrize("absent", ABSENT)
def test_a_segment_with_absent_parts_breaks_nothing(absent: tuple[int, ...]) -> None:
    seen: Observation = observed(**gaps(absent))
    for id, rule in BY_ID.items():
        verdict = judge(rule, seen)
        assert verdict.outcome is not Outcome.BROKEN, (id, verdict.evidence)
    for id in ("4.4.4.1-exact", "4.4.4.3-time", "4.4.4.9-sum", "3.2", "6.2.4-dates"):
        whole = judge(BY_ID[id], observed()).cases
        assert judge(BY_ID[id], seen).cases == whole, id


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize(
    ("id", "change"),
    [
        ("3.2", {"samples": lambda run: run.samples - 1}),
        ("4.4.4.1-exact", {"duration_s": lambda run: run.duration_s - 0.1}),
        ("4.4.4.3-time", {"start_s": lambda run: run.start_s + 0.1}),
    ],
)
def test_what_is_there_of_it_is_judged_all_the_same(
    absent: tuple[int, ...], id: str, change: dict[str, Callable[[Run], Any]]
) -> None:
    def spoiled(found: Fetched) -> Fetched:
        if found.kind != "segment" or found.msn != MSN:
            return found
        changed = ({name: to(run) for name, to in change.items()} for run in found.runs)
        runs = tuple(replace(run, **new) for run, new in zip(found.runs, changed, strict=True))
        return replace(found, runs=runs)

    assert judge(BY_ID[id], observed(**gaps(absent, spoiled))).outcome is Outcome.BROKEN


@pytest.mark.parametrize(("gap", "outcome"), [(True, Outcome.OK), (False, Outcome.BROKEN)])
def test_a_part_before_an_absent_one_may_be_short(gap: bool, outcome: Outcome) -> None:
    mark = ",GAP=YES" if gap else ""

    def edit(text: str, name: str, parts: int) -> str:
        text = swap(f'0.5,URI="{name}-{MSN}.1', f'0.1,URI="{name}-{MSN}.1')(text, name, parts)
        return swap(f'{name}-{MSN}.2.m4s"', f'{name}-{MSN}.2.m4s"{mark}')(text, name, parts)

    # The sound's parts are independent, so they may be short anyway.
    assert judge(BY_ID["4.4.4.9-shortest"], observed(edit=edit)).outcome is outcome


def test_an_absent_part_comes_in_time_like_any_other() -> None:
    assert judge(BY_ID["6.2.1-new-part"], observed(**gaps((1, 2)))).outcome is Outcome.OK
