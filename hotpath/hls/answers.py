"""Answers about playlists, kept for who asks the same: a crowd asks in unison.

Invariant: nothing is kept beyond the version that it answers, and no more than `KEPT`.
Upstream: `live`.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from hotpath.hls.reply import Reply
from hotpath.hls.waiting import Gate

KEPT = 64


@dataclass(frozen=True, slots=True)
class Blocked:
    """An answer that has to wait until `gate` releases `key`, or for so long."""

    gate: Gate[Any]
    key: Any
    timeout_s: int


Answer: TypeAlias = Reply | Blocked


class Answers:
    """By name and query; see the module for the invariant."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answer] = {}
        self._version = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, version: int, name: str, query: str) -> Answer | None:
        if version != self._version:
            self._answers.clear()
            self._version = version
        return self._answers.get((name, query))

    def put(self, name: str, query: str, answer: Answer) -> None:
        """Keep what answers the version that was asked for last."""
        if len(self._answers) < KEPT:
            self._answers[name, query] = answer

    def clear(self) -> None:
        self._answers.clear()
