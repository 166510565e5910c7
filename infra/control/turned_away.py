"""Secrets that were turned away a moment ago: they are told so again without a question.

Invariant: nobody is refused here whom the database or Valkey would let in, but for two cases. An
unknown secret is refused for `UNKNOWN_S` after it was looked up, also when another process makes it
a key meanwhile; keys that the API makes are random and told after their commit, so nobody had one
looked up before. A key over its quota is refused until the moment that its refusal named, also
when it was revoked since. Both memories are bounded.

Upstream: `infra.control.dependencies`.
"""

import asyncio
from collections import OrderedDict
from typing import Generic, TypeVar

from infra.control.limits import Limits, Verdict

UNKNOWN_S = 3.0
REMEMBERED = 4_096
"""Secrets of each kind."""
V = TypeVar("V")


class _ForAWhile(Generic[V]):
    """The newest entries, each until its time is over."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[float, V]] = OrderedDict()

    def put(self, digest: str, value: V, until_s: float) -> None:
        self._entries[digest] = (until_s, value)
        self._entries.move_to_end(digest)
        if len(self._entries) > REMEMBERED:
            self._entries.popitem(last=False)

    def get(self, digest: str, now_s: float) -> tuple[float, V] | None:
        """Until when it holds, and what; None: nothing does."""
        entry = self._entries.get(digest)
        if entry is not None and now_s >= entry[0]:
            del self._entries[digest]
            return None
        return entry


class TurnedAway:
    """By the digest of the secret; of one event loop, whose clock it goes by."""

    def __init__(self) -> None:
        self._unknown: _ForAWhile[None] = _ForAWhile()
        self._over: _ForAWhile[Verdict] = _ForAWhile()

    def is_unknown(self, digest: str) -> bool:
        return self._unknown.get(digest, _now_s()) is not None

    def note_unknown(self, digest: str) -> None:
        self._unknown.put(digest, None, _now_s() + UNKNOWN_S)

    def over_quota(self, digest: str, limits: Limits) -> Verdict | None:
        """What to tell a key whose requests cannot have come back yet."""
        now_s = _now_s()
        entry = self._over.get(digest, now_s)
        if entry is None:
            return None
        until_s, verdict = entry
        return limits.refused_again(verdict, round((until_s - now_s) * 1000))

    def note_over_quota(self, digest: str, verdict: Verdict) -> None:
        """`verdict` refused the key."""
        self._over.put(digest, verdict, _now_s() + verdict.retry_ms / 1000)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
