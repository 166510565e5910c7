"""Media files as replies, in memory or not.

Upstream: `live` and `origin`, which has checked access already. Downstream: `shelf` has what is in
memory, `replay` the rest. Spec: draft-pantos-hls-rfc8216bis, 6.2.2.
"""

from collections.abc import Callable

from hotpath.hls.replay import Replay
from hotpath.hls.reply import Reply, http_date, max_age, refusal
from hotpath.hls.shelf import Shelf, StoredFile
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
        if stored.expires_ms is None:
            # Kept as long as the programme, so for longer than this after its end.
            left_ms = 2 * self._window_ms
        else:
            left_ms = max(stored.expires_ms - self._clock(), 0)
        age = max_age(left_ms) + b", immutable"
        expires = http_date(self._clock_s() + left_ms // 1000)
        reply = stored.reply
        if reply is None or reply.cache_control != age or reply.expires != expires:
            # One for all who ask within the second.
            reply = Reply(200, stored.content_type, age, stored.body, expires=expires)
            stored.reply = reply
        return reply
