"""Media of a programme whose viewers may go back further than memory goes.

Invariant: only what was listed, and can still be had by the draft's rules, is looked for; so names
that never were cost no read. Upstream: `live`. Downstream: `vault`.
"""

from collections.abc import Mapping

from hotpath.hls.past import Kept
from hotpath.hls.rendition import Rendition
from hotpath.hls.shelf import StoredFile
from hotpath.hls.vault import Vault, VaultUnavailable
from hotpath.hls.waiting import WaitingRoom
from infra.keys import InitKey, ProgramKey, SegmentKey, parse


class Replay:
    """One incarnation's; see the module for the invariant."""

    def __init__(
        self,
        vault: Vault,
        room: WaitingRoom,
        key: ProgramKey,
        incarnation: str,
        renditions: Mapping[str, Rendition],
    ) -> None:
        self._vault = vault
        self._room = room
        self._folder = f"live/{key}/"
        self._incarnation = incarnation
        self._renditions = renditions

    async def read(self, name: str, now_ms: int) -> StoredFile | None:
        """The media file of that name below the programme's URL; None: it cannot be had.

        Raises `VaultUnavailable`.
        """
        key = parse(self._folder + name)
        if not isinstance(key, SegmentKey | InitKey) or key.incarnation != self._incarnation:
            return None
        rendition = self._renditions.get(key.rendition)
        kept = None if rendition is None else _kept(rendition, key, now_ms)
        if rendition is None or kept is None:
            return None
        if self._room.full:
            raise VaultUnavailable("too many requests are waiting")
        self._room.count += 1
        try:
            data = await self._vault.read(str(key), kept.bytes)
        finally:
            self._room.count -= 1
        return None if data is None else rendition.holdings.file(data, kept)


def _kept(rendition: Rendition, key: SegmentKey | InitKey, now_ms: int) -> Kept | None:
    if isinstance(key, InitKey):
        return rendition.holdings.init(key.number)
    return rendition.holdings.segment(key.msn, now_ms)
