"""The cores of a machine, shared among ladders that each take what they can get.

Invariant: shares are given one after another, each of them what the others have left; one counts
whole until its owner has said how much of it is taken. So together they are never more than the
machine has, however many owners begin at once.

Upstream: `ladder`, whose child measures the machine before it says. Lives on the event loop.
"""

import asyncio

ANSWER_S = 10.0
"""For so long the next waits for an answer; an owner that gives none keeps its whole share."""


class SharedCores:
    """Gives shares; see the module for the invariant."""

    def __init__(self, total: float, *, answer_s: float = ANSWER_S) -> None:
        self._total = total
        self._answer_s = answer_s
        self._shares: set[Share] = set()
        self._turn = asyncio.Lock()
        """Held from when a share is given until its owner answers."""

    @property
    def taken(self) -> float:
        """Cores that are in shares."""
        return sum(share.taken for share in self._shares)

    async def ask(self) -> "Share":
        """What is left, once whoever asked before has answered; `Share.close` it in the end."""
        await self._turn.acquire()
        left = max(self._total - self.taken, 0.0)
        return Share(left, self._shares, self._turn, self._answer_s)


class Share:
    """Some cores for one owner; made by `SharedCores.ask`."""

    def __init__(
        self, given: float, shares: "set[Share]", turn: asyncio.Lock, answer_s: float
    ) -> None:
        """`turn`: held, and released when the owner has answered."""
        self.given = given
        """Cores that it was at first."""
        self.taken = given
        """Cores that it is now."""
        self._closed = False
        self._shares, self._turn = shares, turn
        self._shares.add(self)
        loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = loop.call_later(answer_s, self._pass_on)

    def settle(self, cores: float) -> None:
        """The owner's answer: so much is taken, and the rest is for others."""
        if not self._closed:
            self.taken = cores
            self._pass_on()

    def close(self) -> None:
        """Nothing is taken any more."""
        self._closed, self.taken = True, 0.0
        self._shares.discard(self)
        self._pass_on()

    def _pass_on(self) -> None:
        """Its turn ends, once."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            self._turn.release()
