"""What a run of chaos found, and how that reads. Pure.

Upstream: `tests.chaos.test_chaos`. Downstream: a table, JSON and the test's verdict.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.evidence import Evidence


@dataclass(slots=True)
class Findings:
    """Filled in as the run goes on."""

    seed: int
    seconds: float
    wanted: int
    """Jobs that were asked for at least."""
    disturbances: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    """Object events by what happened to them."""
    struck: Counter[str] = field(default_factory=Counter)
    """Connections to S3 by what was wrong with it."""
    exits: Counter[str] = field(default_factory=Counter)
    """How roles ended that nobody killed."""
    functions: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    most_attempts: int = 0
    """Of one job, hand-backs included."""
    objects: int = 0
    clean_s: float = 0.0
    drain_s: float | None = None
    """From the last disturbance, or the last deed, to the end of the last job."""
    problems: list[str] = field(default_factory=list)

    def count(self, found: Evidence) -> None:
        """The figures of what ledger and bucket say."""
        self.functions.update(job.function for job in found.jobs)
        self.states.update(job.state for job in found.jobs)
        self.attempts.update(str(attempt.outcome) for attempt in found.attempts)
        per_job = Counter(attempt.job for attempt in found.attempts)
        self.most_attempts = max(per_job.values(), default=0)
        self.objects = len(found.objects)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "ok": not self.problems,
            "seed": self.seed,
            "seconds": self.seconds,
            "disturbances": dict(self.disturbances),
            "events": dict(self.events),
            "s3_connections_struck": dict(self.struck),
            "exits": dict(self.exits),
            "jobs": {
                "wanted": self.wanted,
                "functions": dict(self.functions),
                "states": dict(self.states),
            },
            "attempts": {**self.attempts, "most_of_one_job": self.most_attempts},
            "objects": self.objects,
            "clean_s": round(self.clean_s, 1),
            "drain_s": None if self.drain_s is None else round(self.drain_s, 1),
            "problems": self.problems,
        }

    def print(self, console: Console) -> None:
        table = Table(title=f"chaos, seed {self.seed}", title_justify="left", title_style="bold")
        table.add_column("what")
        table.add_column("found", overflow="fold")
        for what, found in self._rows():
            table.add_row(what, found)
        console.print(table)
        for words in self.problems:
            console.print(
                f"✗ seed {self.seed}: {words}", highlight=False, markup=False, style="red"
            )
        if not self.problems:
            console.print(
                "[green]✓ Every job ended once, every output is the clean run's to the byte, "
                "nothing was lost.[/green]"
            )

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "length", f"{self.seconds:g} s, after a clean run of {self.clean_s:.0f} s"
        yield f"disturbances ({self.disturbances.total()})", _listed(self.disturbances)
        yield "object events", _listed(self.events)
        yield "S3 connections struck", _listed(self.struck)
        yield "roles that ended", _listed(self.exits)
        yield f"jobs ({self.states.total()})", f"{_listed(self.states)}; {_listed(self.functions)}"
        yield (
            f"attempts ({self.attempts.total()})",
            f"{_listed(self.attempts)}; at most {self.most_attempts} of one job",
        )
        yield "objects", str(self.objects)
        drained = "never" if self.drain_s is None else f"{self.drain_s:.1f} s after all of it"
        yield "drained", drained


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
