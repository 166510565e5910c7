"""Answers about playlists, kept for who asks the same: a crowd asks in unison.

Invariant: nothing is kept beyond the version that it answers, and no more than `KEPT`.
Upstream: `live`.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from hotpath.hls.playlist import Revision
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

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._answers: dict[tuple[str, str], Answer] = {}
        self._of = revision.number
        """What the answers were given about."""

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, name: str, query: str) -> Answer | None:
        if self._of != self._revision.number:
            self._answers.clear()
            self._of = self._revision.number
        return self._answers.get((name, query))

    def put(self, name: str, query: str, answer: Answer) -> None:
        """Keep what `get` did not have."""
        if len(self._answers) < KEPT:
            self._answers[name, query] = answer

    def clear(self) -> None:
        self._answers.clear()
