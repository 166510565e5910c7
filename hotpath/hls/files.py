"""Media files as replies, in memory or not.

Upstream: `live` and `origin`, which has checked access already. Downstream: `shelf` has what is in
memory, `replay` the rest. Spec: draft-pantos-hls-rfc8216bis, 6.2.2.
"""

from collections.abc import Callable

from hotpath.hls.replay import Replay
from hotpath.hls.reply import Reply, http_date, max_age, refusal
from hotpath.hls.shelf import Served, Shelf, StoredFile
from hotpath.hls.vault import VaultUnavailable

NOT_HERE = "there is no such file here, or no longer"


class Files:
    """One incarnation's, by their names below the programme's URL."""

    def __init__(
        self,
        shelf: Shelf,
        replay: Replay | None,
        *,
        window_s: int,
        retry_after_s: int,
        clock: Callable[[], int],
        clock_s: Callable[[], int],
    ) -> None:
        """`replay` None: what left memory is gone."""
        self._shelf = shelf
        self._replay = replay
        self._window_ms = window_s * 1000
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._clock_s = clock_s

    @property
    def all_held(self) -> bool:
        """What is not in memory is nowhere."""
        return self._replay is None

    def held(self, name: str) -> Reply | None:
        """A file that is in memory now: one look-up."""
        stored = self._shelf.get(name)
        return None if stored is None else self._reply(stored)

    async def find(self, name: str) -> Reply:
        """A file wherever it is, or why it cannot be had."""
        stored = self._shelf.get(name)
        try:
            if stored is None and self._replay is not None:
                stored = await self._replay.read(name, self._clock())
        except VaultUnavailable as error:
            return refusal(503, str(error), retry_after_s=self._retry_after_s)
        return refusal(404, NOT_HERE) if stored is None else self._reply(stored)

    def _reply(self, stored: StoredFile) -> Reply:
        """6.2.2: with an Expires header that reflects how long it will be there."""
        now_ms, served = self._clock(), stored.served
        if (
            served is not None
            and now_ms < served.until_ms
            and served.expires_ms == stored.expires_ms
        ):
            return served.reply
        if stored.expires_ms is None:
            # Kept as long as the programme, so for longer than this after its end.
            left_ms = 2 * self._window_ms
        else:
            left_ms = max(stored.expires_ms - now_ms, 0)
        expires = http_date(self._clock_s() + left_ms // 1000)
        age = max_age(left_ms) + b", immutable"
        reply = Reply(200, stored.content_type, age, stored.body, expires=expires)
        # One for all who ask until the age is another.
        stored.served = Served(reply, now_ms + left_ms % 1000 + 1, stored.expires_ms)
        return reply
