"""The last word to viewers whose session is over and who were not listening just then.

Invariant: at most `MAX_KEPT` of them, each for `KEPT_NS` and until it was told once: an EventSource
that was reconnecting comes within two seconds, hears it, and then finds the session gone.

`now` is an argument, ns. Upstream: `hotpath.fanout.sessions`. Downstream: `whep`'s
`GET .../events`.
"""

from collections import OrderedDict
from typing import NamedTuple

from hotpath.fanout.control import ControlEvent
from infra.keys import ProgramKey

KEPT_NS = 5_000_000_000
MAX_KEPT = 4_096


class _Farewell(NamedTuple):
    key: ProgramKey
    event: ControlEvent
    until_ns: int


class Farewells:
    """See the module for the invariant."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Farewell] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, session_id: str, key: ProgramKey, event: ControlEvent, now: int) -> None:
        self._kept[session_id] = _Farewell(key, event, now + KEPT_NS)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def take(self, session_id: str, key: ProgramKey, now: int) -> ControlEvent | None:
        """What the session of this programme was told last; None: nothing, or it is too late."""
        self.forget(now)
        found = self._kept.get(session_id)
        if found is None or found.key != key:
            return None
        del self._kept[session_id]
        return found.event

    def forget(self, now: int) -> None:
        """Those whose time is over."""
        while self._kept and next(iter(self._kept.values())).until_ns <= now:
            self._kept.popitem(last=False)
