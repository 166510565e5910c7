"""What the demo is doing right now, on a terminal or in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Step:
    """One step under way; `update` says how far it is (on a terminal only)."""

    def __init__(self, console: Console, title: str) -> None:
        self.title = title
        self._status = console.status(title) if console.is_terminal else None
        if self._status:
            self._status.start()
        else:
            console.print(f"… {title}", highlight=False)

    def update(self, detail: str) -> None:
        if self._status:
            self._status.update(f"{self.title}: {detail}")

    def close(self) -> None:
        if self._status:
            self._status.stop()


@contextmanager
def step(console: Console, title: str) -> Iterator[Step]:
    """Shows a step while the block runs, and its duration when it succeeded."""
    began = time.monotonic()
    current = Step(console, title)
    try:
        yield current
    finally:
        current.close()
    console.print(
        f"[green]✓[/green] {title} [dim]({time.monotonic() - began:.1f} s)[/dim]", highlight=False
    )
