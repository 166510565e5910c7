"""Whether everything was done, once, and as if nothing had happened; pure.

Invariant: a problem is named only where ledger or bucket show it, and whatever differs from the
clean run is named: a job that is missing, too many, not over or over twice; an attempt that
overlaps another or wrote after it lost its lease; an object that is missing, left behind or not the
same to the byte. Transcripts alone may differ, by `MOST_MS` in their times.

Upstream: `tests.chaos.evidence`, of the clean run and of the other. Downstream: the report.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import AssetFact, AttemptFact, Evidence, JobFact
from tests.chaos.words import is_transcript, told_apart

MOST_MS = 50
COUNTED = frozenset({"succeeded", "failed", "lost"})
"""Outcomes of attempts that are held against a job."""
_CIRCUMSTANCES = frozenset({"told", "heard_now"})
"""Outputs that say how it went and not what was made: whether the bus took a live caption, and how
many windows were left to the end."""
_MANY = 20


def problems(clean: Evidence, found: Evidence, *, poison: Collection[str] = ()) -> list[str]:
    """What is wrong with `found`, in words. `poison`: jobs that are to be dead, and which the
    clean run knows by their ids alone."""
    return [
        *_jobs(clean, found, poison),
        *_attempts(found, poison),
        *_objects(clean.objects, found.objects),
        *_assets(clean, found),
        *_events(clean.events, found.events),
    ]


def _jobs(clean: Evidence, found: Evidence, poison: Collection[str]) -> Iterator[str]:
    wanted = {job.id: job for job in clean.jobs}
    there: dict[str, JobFact] = {}
    for job in found.jobs:
        if job.id in there:
            yield f"{_name(job)} is in the ledger twice"
        there[job.id] = job
    yield from (f"{_name(wanted[id])} was never filed" for id in wanted.keys() - there.keys())
    yield from (f"{_name(there[id])} is one too many" for id in there.keys() - wanted.keys())
    for id in sorted(wanted.keys() & there.keys()):
        job = there[id]
        state = "dead" if id in poison else "succeeded"
        if job.state != state:
            yield f"{_name(job)} is {job.state}, not {state}: {job.error}"
        if not job.over:
            yield f"{_name(job)} is {job.state} and has no end"
        if id not in poison and _made(job) != _made(wanted[id]):
            yield f"{_name(job)} made {job.outputs}, not {wanted[id].outputs}"


def _made(job: JobFact) -> dict[str, Any]:
    return {name: value for name, value in job.outputs.items() if name not in _CIRCUMSTANCES}


def _attempts(found: Evidence, poison: Collection[str]) -> Iterator[str]:
    by_job: dict[str, list[AttemptFact]] = defaultdict(list)
    for attempt in found.attempts:
        by_job[attempt.job].append(attempt)
    for job in found.jobs:
        made = by_job.pop(job.id, [])
        for words in _of_one(job, made, wins=0 if job.id in poison else 1):
            yield f"{_name(job)}: {words}"
    yield from (f"attempts of {job}, which is not there" for job in by_job)


def _of_one(job: JobFact, made: Sequence[AttemptFact], wins: int) -> Iterator[str]:
    outcomes = [attempt.outcome for attempt in made]
    if outcomes.count("succeeded") != wins:
        yield f"{outcomes.count('succeeded')} attempts succeeded, not {wins}: {outcomes}"
    if "succeeded" in outcomes[:-1]:
        yield f"attempts after the one that succeeded: {outcomes}"
    if any(attempt.ended_ms is None or attempt.outcome is None for attempt in made):
        yield f"an attempt has no end: {outcomes}"
    numbers = [attempt.number for attempt in made]
    if any(a >= b for a, b in pairwise(numbers)):
        yield f"fences do not rise: {numbers}"
    if numbers and numbers[-1] > job.fence:
        yield f"an attempt has the fence {numbers[-1]}, the job {job.fence}"
    if wins and numbers and numbers[-1] != job.fence:
        yield f"it ended with the fence {numbers[-1]}, and has {job.fence}"
    for a, b in pairwise(made):
        if a.ended_ms is None or a.ended_ms > b.started_ms:
            yield f"attempt {b.number} began before attempt {a.number} was over"
    counted = sum(outcome in COUNTED for outcome in outcomes)
    if counted != job.attempt_count:
        yield f"{counted} attempts count, the job says {job.attempt_count}: {outcomes}"
    if job.attempt_count > job.max_attempts:
        yield f"{job.attempt_count} attempts of {job.max_attempts}"


def _objects(wanted: Mapping[str, bytes], there: Mapping[str, bytes]) -> Iterator[str]:
    yield from _some("is not in the bucket", wanted.keys() - there.keys())
    yield from _some("was left in the bucket", there.keys() - wanted.keys())
    for key in sorted(wanted.keys() & there.keys()):
        if wanted[key] == there[key]:
            continue
        if is_transcript(key):
            for words in told_apart(key, wanted[key], there[key], most_ms=MOST_MS):
                yield f"{key}: {words}"
        else:
            yield f"{key} differs from the clean run's at byte {_first(wanted[key], there[key])}"


def _assets(clean: Evidence, found: Evidence) -> Iterator[str]:
    wanted = {asset.key: asset for asset in clean.assets}
    there: dict[str, AssetFact] = {}
    for asset in found.assets:
        if asset.key in there:
            yield f"the asset {asset.key} is listed twice"
        there[asset.key] = asset
    yield from _some("is not listed as an asset", wanted.keys() - there.keys())
    yield from _some("is listed as an asset, and should not be", there.keys() - wanted.keys())
    for key in sorted(wanted.keys() & there.keys()):
        if is_transcript(key):
            continue  # its words were compared, and its size follows from them
        if wanted[key] != there[key]:
            yield f"the asset {key} is {there[key]}, not {wanted[key]}"
        elif len(found.objects.get(key, b"")) != there[key].bytes:
            yield f"the asset {key} has {there[key].bytes} bytes, its object has not"


def _events(wanted: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    for event in sorted(wanted.keys() | there.keys()):
        if wanted.get(event) != there.get(event):
            yield f"the event {event} is {there.get(event)}, not {wanted.get(event)}"


def _some(what: str, keys: Collection[str]) -> Iterator[str]:
    """So many words that somebody reads them."""
    yield from (f"{key} {what}" for key in sorted(keys)[:_MANY])
    if len(keys) > _MANY:
        yield f"{len(keys) - _MANY} more: {what}"


def _first(a: bytes, b: bytes) -> int:
    """Where they differ first."""
    same = zip(a, b, strict=False)
    return next((at for at, (x, y) in enumerate(same) if x != y), min(len(a), len(b)))


def _name(job: JobFact) -> str:
    return f"{job.id} ({job.function} of {job.event})"
