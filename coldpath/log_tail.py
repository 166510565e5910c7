"""The last lines that one attempt logs, to be kept with it.

Invariant: at most `MOST` characters are held, and lines of other jobs never mix in: an attempt's
lines are those of the process that runs it, one job at a time, while the tail is open.
"""

import logging
from collections import deque
from types import TracebackType
from typing import Self

from coldpath.storable import text

MOST = 16_000
_LINE = 2_000
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogTail(logging.Handler):
    """Listens at the root logger inside its `with` block."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter(_FORMAT))
        self._lines: deque[str] = deque()
        self._held = 0
        self._dropped = False

    @property
    def text(self) -> str:
        """What is kept, oldest first; says when something came before."""
        lines = ["…", *self._lines] if self._dropped else list(self._lines)
        return "\n".join(lines)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = text(self.format(record)[:_LINE])
        except Exception:  # noqa: BLE001 - a mistake in a log line is no reason to fail a job
            self.handleError(record)
            return
        self._lines.append(line)
        self._held += len(line) + 1
        while self._held > MOST:
            self._held -= len(self._lines.popleft()) + 1
            self._dropped = True

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger().removeHandler(self)
