"""What an attempt costs: time on the wall and on processors.

Upstream: `coldpath.runner`.
"""

import resource
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Time on the wall and on processors, with that of child processes that have ended."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Spent":
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = time.process_time()
        return cls(time.monotonic(), own + children.ru_utime + children.ru_stime)

    def since(self, before: "Spent") -> dict[str, int]:
        """Whole milliseconds, as the ledger keeps them."""
        return {
            "wall_ms": round((self.wall_s - before.wall_s) * 1000),
            "cpu_ms": round((self.cpu_s - before.cpu_s) * 1000),
        }
