"""The proof of a run of chaos finds whatever is not as it should be."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.evidence import AssetFact, AttemptFact, Evidence, JobFact
from tests.chaos.proof import problems

SHEET = "vod/p/e/main/c/sheet-0.jpg"
WORDS = "vod/p/e/main/c/captions.vtt"
POISON = "job_poison"


def job(id: str, **more: object) -> JobFact:
    made = JobFact(
        id=id, function="storyboard", event="e", state="succeeded", attempt_count=1,
        max_attempts=5, fence=1, over=True, outputs={"keys": [SHEET]},
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def attempt(job: str, number: int, outcome: str | None, began: int, ended: int | None):
    return AttemptFact(job, number, began, ended, outcome)


def cue(start: str, end: str, words: str = "hello there") -> bytes:
    return f"WEBVTT\n\n{start} --> {end}\n{words}\n".encode()


SHEET_ASSET = AssetFact("e", "storyboard", SHEET, 5, None, {"cells": 3}, "job_a")
CLEAN = Evidence(
    jobs=(job("job_a"), job("job_b", outputs={}), job(POISON, state="queued", over=False)),
    attempts=(
        attempt("job_a", 1, "succeeded", 10, 20),
        attempt("job_b", 1, "succeeded", 10, 20),
    ),
    assets=(SHEET_ASSET,),
    objects={SHEET: b"sheet", WORDS: cue("00:01.000", "00:02.000")},
    events={"e": "archived"},
)
GOOD = replace(
    CLEAN,
    jobs=(
        job("job_a", attempt_count=3, fence=5),
        job("job_b", outputs={}),
        job(POISON, state="dead", attempt_count=2, fence=2, max_attempts=2),
    ),
    attempts=(
        attempt("job_a", 1, "lost", 10, 20),
        attempt("job_a", 2, "failed", 25, 30),
        attempt("job_a", 3, "handed-back", 30, 40),
        attempt("job_a", 5, "succeeded", 40, 50),
        attempt("job_b", 1, "succeeded", 10, 20),
        attempt(POISON, 1, "lost", 10, 20),
        attempt(POISON, 2, "lost", 20, 30),
    ),
)
"""All that may happen on the way."""


def found(evidence: Evidence) -> list[str]:
    return problems(CLEAN, evidence, poison=[POISON])


def with_job(id: str, **more: object) -> Evidence:
    changed = [replace(j, **more) if j.id == id else j for j in GOOD.jobs]  # type: ignore[arg-type]
    return replace(GOOD, jobs=tuple(changed))


def with_attempt(id: str, at: int, /, **more: object) -> Evidence:
    changed = [
        replace(a, **more) if (a.job, a.number) == (id, at) else a  # type: ignore[arg-type]
        for a in GOOD.attempts
    ]
    return replace(GOOD, attempts=tuple(changed))


def with_object(key: str, data: bytes) -> Evidence:
    return replace(GOOD, objects={**GOOD.objects, key: data})


def test_what_may_happen_on_the_way_is_no_problem() -> None:
    assert found(GOOD) == []


DOCTORED: dict[str, tuple[Callable[[], Evidence], str]] = {
    "a job that is missing": (
        lambda: replace(
            GOOD, jobs=GOOD.jobs[:1] + GOOD.jobs[2:], attempts=GOOD.attempts[:4] + GOOD.attempts[5:]
        ),
        "job_b (storyboard of e) was never filed",
    ),
    "a job too many": (
        lambda: replace(
            GOOD,
            jobs=(*GOOD.jobs, job("job_c")),
            attempts=(*GOOD.attempts, attempt("job_c", 1, "succeeded", 1, 2)),
        ),
        "job_c (storyboard of e) is one too many",
    ),
    "a job that is there twice": (
        lambda: replace(GOOD, jobs=(*GOOD.jobs, GOOD.jobs[0])),
        "is in the ledger twice",
    ),
    "a job that is dead": (
        lambda: with_job("job_b", state="dead", error="it broke"),
        "job_b (storyboard of e) is dead, not succeeded: it broke",
    ),
    "poison that succeeded": (lambda: with_job(POISON, state="succeeded"), "not dead"),
    "a job without an end": (lambda: with_job("job_b", over=False), "has no end"),
    "other outputs": (lambda: with_job("job_b", outputs={"keys": []}), "made {'keys': []}"),
    "two successes": (
        lambda: with_attempt("job_a", 2, outcome="succeeded"),
        "2 attempts succeeded, not 1",
    ),
    "no success": (lambda: with_attempt("job_b", 1, outcome="lost"), "0 attempts succeeded"),
    "an attempt after the success": (
        lambda: replace(
            GOOD,
            attempts=(*GOOD.attempts[:4], attempt("job_a", 6, "lost", 60, 70), *GOOD.attempts[4:]),
        ),
        "attempts after the one that succeeded",
    ),
    "an attempt without an end": (
        lambda: with_attempt("job_a", 2, ended_ms=None, outcome=None),
        "an attempt has no end",
    ),
    "a fence that does not rise": (
        lambda: with_attempt("job_a", 3, number=2),
        "fences do not rise: [1, 2, 2, 5]",
    ),
    "a fence that nobody gave": (lambda: with_job("job_a", fence=4), "has the fence 5, the job 4"),
    "two attempts at the same time": (
        lambda: with_attempt("job_a", 2, started_ms=19),
        "attempt 2 began before attempt 1 was over",
    ),
    "attempts that are not counted": (
        lambda: with_job("job_a", attempt_count=2),
        "3 attempts count, the job says 2",
    ),
    "more attempts than a job has": (
        lambda: with_job("job_a", max_attempts=2),
        "3 attempts of 2",
    ),
    "attempts of nobody": (
        lambda: replace(GOOD, attempts=(*GOOD.attempts, attempt("job_z", 1, "lost", 1, 2))),
        "attempts of job_z",
    ),
    "a byte that differs": (
        lambda: with_object(SHEET, b"sheEt"),
        f"{SHEET} differs from the clean run's at byte 3",
    ),
    "an object that was cut off": (lambda: with_object(SHEET, b"shee"), "at byte 4"),
    "an object that is missing": (
        lambda: replace(GOOD, objects={SHEET: b"sheet"}),
        f"{WORDS} is not in the bucket",
    ),
    "an output that was made twice": (
        lambda: with_object("vod/p/e/main/d/sheet-0.jpg", b"sheet"),
        "vod/p/e/main/d/sheet-0.jpg was left in the bucket",
    ),
    "words that differ": (
        lambda: with_object(WORDS, cue("00:01.000", "00:02.000", "hello where")),
        "it says 'hello where', not 'hello there'",
    ),
    "words that come too late": (
        lambda: with_object(WORDS, cue("00:01.051", "00:02.000")),
        "a cue is at 00:01.051, not at 00:01.000",
    ),
    "an asset that is not listed": (
        lambda: replace(GOOD, assets=()),
        f"{SHEET} is not listed as an asset",
    ),
    "an asset that is listed twice": (
        lambda: replace(GOOD, assets=(SHEET_ASSET, SHEET_ASSET)),
        "is listed twice",
    ),
    "an asset that says something else": (
        lambda: replace(GOOD, assets=(replace(SHEET_ASSET, detail={"cells": 4}),)),
        f"the asset {SHEET} is",
    ),
    "an event that was not archived": (
        lambda: replace(GOOD, events={"e": "ended"}),
        "the event e is ended, not archived",
    ),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_it_finds(name: str) -> None:
    doctored, words = DOCTORED[name]
    assert any(words in problem for problem in found(doctored())), found(doctored())


def test_how_it_went_is_no_output() -> None:
    assert found(with_job("job_b", outputs={"told": True, "heard_now": 2})) == []


def test_a_transcript_may_be_a_little_off() -> None:
    assert found(with_object(WORDS, cue("00:01.050", "00:01.950"))) == []


def test_of_many_lost_objects_some_are_named() -> None:
    clean = replace(CLEAN, objects={f"vod/p/e/main/c/{n}.bin": b"x" for n in range(100)})
    told = problems(clean, replace(GOOD, objects={}), poison=[POISON])
    assert "80 more: is not in the bucket" in told
