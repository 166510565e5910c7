"""The conformance rules over and over on one programme: a stretch is watched, then judged.

    python -m tests.soak.rules http://127.0.0.1:8081/live/.../index.m3u8 --seconds 1800

Every version of every playlist that a stretch saw, and all media, goes through every rule. A line
of JSON for each stretch says when it was and what broke. The last one waits for the end of the
programme, and judges that, too.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from conformance.client import Client
from conformance.errors import ConformanceError
from conformance.observation import Observation
from conformance.observe import Observer
from conformance.rule import Outcome, Verdict, judge_all
from conformance.rules import RULES
from infra.niceness import give_way

STRETCH_S = 45.0
SHORTEST_S = 20.0
"""Less is not worth a stretch of its own."""


async def watch(url: str, seconds: float, stretch_s: float) -> None:
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > SHORTEST_S:
        await stretch(url, min(stretch_s, left), began, until_end=False)
    await stretch(url, SHORTEST_S, began, until_end=True)


async def stretch(url: str, seconds: float, began: float, *, until_end: bool) -> None:
    """One observation and its verdicts, as one line."""
    at = time.monotonic() - began
    pieces: list[Observation] = []
    verdicts: list[list[Verdict]] = []

    def judge(seen: Observation) -> None:
        pieces.append(seen)
        verdicts.append(judge_all(RULES, seen))

    line: dict[str, Any] = {"from_s": round(at, 1), "until_end": until_end}
    try:
        async with Client() as client:
            observer = Observer(client, url, seconds=seconds, until_end=until_end, judged=judge)
            judge(await observer.run())
    except ConformanceError as error:
        line["failure"] = str(error)
    line |= {
        "to_s": round(time.monotonic() - began, 1),
        "versions": sum(len(t.versions) for piece in pieces for t in piece.tracks),
        "files": sum(len(t.fetched) for piece in pieces for t in piece.tracks),
        "lag_ms": round(1000 * max((piece.lag_s for piece in pieces), default=0.0)),
        "cpu_s": round(time.process_time(), 2),
        **judged(verdicts),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def judged(verdicts: Sequence[Sequence[Verdict]]) -> dict[str, Any]:
    """How many rules were kept, and each that was not, with what broke it."""
    every = [verdict for one in verdicts for verdict in one]
    broken = [
        {
            "rule": verdict.rule.id,
            "level": verdict.rule.level.value,
            "requirement": verdict.rule.requirement,
            "evidence": verdict.evidence,
            "times": verdict.broken,
        }
        for verdict in every
        if verdict.outcome is Outcome.BROKEN
    ]
    seen = {v.rule.id for v in every if v.outcome in (Outcome.OK, Outcome.BROKEN)}
    return {
        "seen": sorted(seen),
        "cases": sum(verdict.cases for verdict in every),
        "broken": broken,
    }


def main() -> int:
    # Elsewhere those who watch take nothing from the node.
    give_way(19)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="of the multivariant playlist")
    parser.add_argument("--seconds", type=float, default=60.0, help="before the end is waited for")
    parser.add_argument("--stretch", type=float, default=STRETCH_S)
    given = parser.parse_args()
    asyncio.run(watch(given.url, given.seconds, given.stretch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
