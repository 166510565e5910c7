"""What the demo's figures are held against, on the machine that it runs on.

Pure. Invariant: a figure that was not measured has not met its target. No target is a problem of
the run: a slow machine shows everything as well, only later.

Upstream and downstream: `report`.
"""

from dataclasses import dataclass
from typing import Any

WHEP_P95_MS = 250.0
"""Glass to glass on loopback, encoder and SRT's latency included."""


@dataclass(frozen=True, slots=True)
class Target:
    """One figure, in ms, and the most that it is to be."""

    figure: str
    """Where it stands in the JSON, with dots."""
    at_most_ms: float
    found_ms: float | None

    @property
    def met(self) -> bool:
        return self.found_ms is not None and self.found_ms <= self.at_most_ms

    @property
    def words(self) -> str:
        quantile = self.figure.rpartition(".")[2]
        return f"{quantile} at most {self.at_most_ms:.0f} ms: {self._verdict}"

    @property
    def _verdict(self) -> str:
        if self.found_ms is None:
            return "not measured"
        margin = f"{abs(self.found_ms - self.at_most_ms):.1f} ms"
        return f"met by {margin}" if self.met else f"missed by {margin}"

    def as_json(self) -> dict[str, Any]:
        return {"at_most_ms": self.at_most_ms, "found_ms": self.found_ms, "met": self.met}
