"""What a soak found, which of its bars it broke, and how that reads. Pure.

Invariant: a bar is broken only by what was seen, and every broken one is named. Upstream:
`test_ladder` with what its processes told. Downstream: a table, JSON, and the test's verdict.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

MOST_MB_PER_MINUTE = 1.0
JUDGED_FROM_S = 290.0
"""The last half must last so long: before, a process still fills what it keeps by design."""
NOW = frozenset({"players", "playing", "cpu_s"})
"""What a report of the players says of the moment; all else adds up."""
MOST_STALLED = 0.01
"""Of the time that all players played."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory at one moment."""

    at_s: float
    rss_kb: Mapping[str, int]
    """By process: the media process, and what descends from it."""

    @property
    def total_kb(self) -> int:
        return sum(self.rss_kb.values())


def last_half(samples: Sequence[Memory]) -> Sequence[Memory]:
    return samples[len(samples) // 2 :]


def growth(samples: Sequence[Memory], process: str | None = None) -> float:
    """MB a minute by least squares over the last half; `process`: of this one alone."""
    half = last_half(samples)
    if len(half) < 2:
        return 0.0
    sizes = [s.total_kb if process is None else s.rss_kb.get(process, 0) for s in half]
    minutes = [sample.at_s / 60 for sample in half]
    return statistics.linear_regression(minutes, [kb / 1024 for kb in sizes]).slope


@dataclass(slots=True)
class Findings:
    """Filled in as the soak goes on."""

    clients: int
    seconds: float
    memory: list[Memory] = field(default_factory=list)
    stretches: list[dict[str, Any]] = field(default_factory=list)
    """What `rules` told, one by one."""
    players: Counter[str] = field(default_factory=Counter)
    """Sums of what `players` told."""
    errors: Counter[str] = field(default_factory=Counter)
    most: int = 0
    """Players at the same time."""
    playing: int = 0
    """Of them, at the last report."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Processor seconds by part of the soak."""
    failures: list[str] = field(default_factory=list)
    """What else must not happen: a process that ended, an error in the log."""

    def hear_players(self, line: Mapping[str, Any]) -> None:
        """A report of `players`."""
        for name, value in line.items():
            if isinstance(value, int | float) and name not in NOW:
                self.players[name] += value  # type: ignore[assignment]
        self.errors.update(line["errors"])
        self.cpu_s["players"] = line["cpu_s"]
        self.most = max(self.most, line["players"])
        self.playing = line["playing"]

    def hear_rules(self, line: dict[str, Any]) -> None:
        """A report of `rules`."""
        self.stretches.append(line)
        self.cpu_s["rules"] = line["cpu_s"]

    # -- bars --------------------------------------------------------------------------------

    def broken_rules(self, level: str) -> list[str]:
        """Each break with its time and rule."""
        return [
            f"{clock(one['from_s'])}–{clock(one['to_s'])} {level} {broken['rule']}: "
            f"{broken['evidence']}"
            for one in self.stretches
            for broken in one["broken"]
            if broken["level"] == level
        ]

    @property
    def growth(self) -> float:
        return growth(self.memory)

    @property
    def growth_is_judged(self) -> bool:
        half = last_half(self.memory)
        return bool(half) and half[-1].at_s - half[0].at_s >= JUDGED_FROM_S

    @property
    def stalled(self) -> float:
        """Share of the players' time in which the picture stood still."""
        return self.players["stalled_ms"] / 1000 / max(1.0, self.clients * self.seconds)

    def problems(self) -> list[str]:
        """Every bar that is broken, in words."""
        found = [*self.failures, *self.broken_rules("MUST")]
        found += [f"{clock(s['from_s'])} {s['failure']}" for s in self.stretches if "failure" in s]
        if not self.stretches:
            found.append("no stretch was judged")
        if self.growth_is_judged and self.growth >= MOST_MB_PER_MINUTE:
            found.append(f"the media process grew by {self.growth:.2f} MB a minute")
        found += [f"{count} players met {words}" for words, count in self.errors.items()]
        if self.most < self.clients:
            found.append(f"{self.most} of {self.clients} players were there at the same time")
        if never := self.players["never"]:
            found.append(f"{never} players that joined never began to play")
        if self.stalled > MOST_STALLED:
            found.append(f"players stood still {100 * self.stalled:.2f} % of the time")
        return found

    # -- how it reads ------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        names = sorted({name for sample in self.memory for name in sample.rss_kb})
        return {
            "ok": not self.problems(),
            "problems": self.problems(),
            "clients": self.clients,
            "seconds": round(self.seconds, 1),
            "most_at_once": self.most,
            "players": dict(self.players),
            "errors": dict(self.errors),
            "stalled_share": round(self.stalled, 6),
            "rules": {
                "stretches": len(self.stretches),
                "versions": sum(one["versions"] for one in self.stretches),
                "files": sum(one["files"] for one in self.stretches),
                "cases": sum(one["cases"] for one in self.stretches),
                "seen": len(self._seen()),
                "must_broken": self.broken_rules("MUST"),
                "should_broken": self.broken_rules("SHOULD"),
                "observer_lag_ms": max((one["lag_ms"] for one in self.stretches), default=0),
            },
            "memory": {
                "mb_per_minute": round(self.growth, 3),
                "judged": self.growth_is_judged,
                "by_process": {name: round(growth(self.memory, name), 3) for name in names},
                "samples": [[round(s.at_s), dict(s.rss_kb)] for s in self.memory],
            },
            "cores": {name: round(s / self.seconds, 3) for name, s in self.cpu_s.items()},
        }

    def _seen(self) -> set[str]:
        return {rule for one in self.stretches for rule in one["seen"]}

    def print(self, console: Console) -> None:
        table = Table(title="LL-HLS soak", title_justify="left", title_style="bold")
        table.add_column("what")
        table.add_column("found", overflow="fold")
        for what, found in self._rows():
            table.add_row(what, found)
        console.print(table)
        for words in self.broken_rules("SHOULD"):
            console.print(f"  {words}", highlight=False, markup=False)
        problems = self.problems()
        for words in problems:
            console.print(f"✗ {words}", highlight=False, markup=False, style="red")
        if not problems:
            console.print("[green]✓ No bar was broken.[/green]")

    def _rows(self) -> Iterable[tuple[str, str]]:
        told, counts = self.as_json(), self.players
        rules, per_s = told["rules"], (counts["playlists"] + counts["parts"]) / self.seconds
        yield "length", f"{clock(self.seconds)} with {self.most} players at once"
        yield (
            "requests",
            (
                f"{counts['playlists']} playlists, {counts['parts']} parts: {per_s:.0f} a second, "
                f"{counts['bytes'] * 8e-6 / self.seconds:.0f} Mbit/s"
            ),
        )
        yield (
            "players",
            (
                f"{sum(self.errors.values())} errors, {counts['stalls']} stalls of "
                f"{counts['stalled_ms']:.0f} ms in all, {counts['missed']} times parts missed, "
                f"{counts['gaps']} gaps, {counts['stale']} reloads without news; "
                f"{counts['joins']} joins, {counts['changes']} changes of rendition"
            ),
        )
        yield (
            "rules",
            (
                f"{len(self.broken_rules('MUST'))} MUST, {len(self.broken_rules('SHOULD'))} SHOULD "
                f"broken in {rules['stretches']} stretches, {rules['versions']} playlists, "
                f"{rules['files']} files, {rules['cases']} cases of {rules['seen']} rules"
            ),
        )
        judged = "" if self.growth_is_judged else " (too short to be judged)"
        yield "memory", f"{self.growth:+.2f} MB a minute over the last half{judged}" + self._ends()
        for name, slope in told["memory"]["by_process"].items():
            yield f"  {name}", f"{slope:+.2f} MB a minute{self._ends(name)}"
        yield "cores", ", ".join(f"{name} {cores:.2f}" for name, cores in told["cores"].items())

    def _ends(self, process: str | None = None) -> str:
        if not self.memory:
            return ""
        first, last = (
            (s.total_kb if process is None else s.rss_kb.get(process, 0)) / 1024
            for s in (self.memory[0], self.memory[-1])
        )
        return f"; {first:.0f} → {last:.0f} MB"


def clock(seconds: float) -> str:
    """ "12:05" since the beginning."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
