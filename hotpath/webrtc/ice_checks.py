"""Checks of our own: requests that prove an address, measure the round trip or move the path.

Invariant: pure; at most one check is under way, and it ends with its answer, after `_TRIES`
requests, or with another check that starts. Transaction ids cannot be guessed without the seed.

Upstream: `ice`, which says what to check and what an answer means. Spec: RFC 8489 6.2.1.
"""

import hmac
from dataclasses import dataclass

from hotpath.webrtc import stun
from hotpath.webrtc.ice_events import Credentials, Source
from hotpath.webrtc.stun import Message

_FIRST_WAIT_NS = 100_000_000
_TRIES = 5
_LITE_PRIORITY = 0x7E_FF_FF_FF
"""What our checks claim as the priority of a peer-reflexive candidate; nobody acts on it."""


@dataclass(slots=True)
class Check:
    """One request of ours, resent with the same transaction id until answered."""

    transaction: bytes
    source: Source
    moves: bool
    """True: its answer moves the path to `source`; False: it proves that address, and measures the
    round trip."""
    sent_ns: int
    tries: int = 1

    @property
    def due_ns(self) -> int:
        """When it is sent again."""
        return self.sent_ns + (_FIRST_WAIT_NS << (self.tries - 1))

    @property
    def spent(self) -> bool:
        return self.tries >= _TRIES

    def answered_by(self, message: Message, source: Source) -> bool:
        return message.transaction == self.transaction and source == self.source


class Checks:
    """Makes them; `current` is the one that is under way."""

    __slots__ = ("_made", "_seed", "current")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._made = 0
        self.current: Check | None = None

    def start(self, source: Source, now: int, *, moves: bool) -> Check:
        self._made += 1
        number = self._made.to_bytes(8, "big")
        transaction = hmac.digest(self._seed, number, "sha256")[:12]
        self.current = Check(transaction, source, moves, now)
        return self.current

    def end(self) -> None:
        """The one under way is answered, or given up."""
        self.current = None

    def request(self, check: Check, local: Credentials, remote: Credentials) -> bytes:
        return stun.request(
            check.transaction,
            f"{remote.ufrag}:{local.ufrag}",
            remote.key,
            priority=_LITE_PRIORITY,
            tie_breaker=int.from_bytes(self._seed[:8], "big"),
        )
