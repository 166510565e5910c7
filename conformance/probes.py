"""Requests that a player would not make, to see how directives are answered.

Invariant: a probe is one request (a delta update two) whose answer is recorded as it came; the
names are those that `rules.section_6_2_5` and `section_6_2_6` judge. Upstream: `observe`.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import urljoin

from conformance.client import Client, with_query
from conformance.observation import Exchange, Probe
from conformance.playlist import MediaPlaylist
from conformance.reading import read_media
from conformance.watch import Watch, next_position

TRIES = 5
FAR = 10
FRESH = 3
"""Parts of a segment that has more to come."""


def _lines(body: bytes) -> tuple[str, ...]:
    return tuple(body.decode("utf-8", "replace").splitlines())


class Probing:
    """Probes of one watched playlist."""

    def __init__(self, client: Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    async def directives(self) -> None:
        """All that can be asked once there is a segment; takes about two segments."""
        last = await self._until_segment()
        await self._ask("part alone", _HLS_part=0)
        await self._ask("malformed", _HLS_msn="x")
        await self._unknown(last)
        if last.control.decimal("CAN-SKIP-UNTIL") is None:
            await self._ask("skip not offered", _HLS_skip="YES")
        if last.control.yes("CAN-BLOCK-RELOAD"):
            await self._blocking()

    async def _until_segment(self) -> MediaPlaylist:
        while True:
            last = self._watch.last
            if last is not None and last.segments:
                return last
            await self._moved()

    async def _until_fresh(self) -> MediaPlaylist:
        """The open segment is not about to end: beyond its end, any part is the next one's."""
        while True:
            last = await self._until_segment()
            if last.ended or len(last.open.parts) <= FRESH:
                return last
            await self._moved()

    async def _moved(self) -> None:
        self._watch.moved.clear()
        await self._watch.moved.wait()

    async def _blocking(self) -> None:
        last = await self._until_segment()
        await self._ask("msn too far", _HLS_msn=last.open.msn + FAR)
        if target := last.part_target:
            last = await self._until_fresh()
            limit = 3 / target if target < 1 else 3
            part = len(last.open.parts) + int(limit) + FAR
            await self._ask("part too far", _HLS_msn=last.open.msn, _HLS_part=part)
        await self._ask("old msn", _HLS_msn=last.segments[0].msn)
        last = await self._until_segment()
        await self._ask("msn", wanted=(last.open.msn, None), _HLS_msn=last.open.msn)
        if not last.part_target:
            return
        last = await self._until_segment()
        msn, part = last.open.msn, len(last.open.parts) + 1
        await self._ask("msn and part", wanted=(msn, part), _HLS_msn=msn, _HLS_part=part)
        await self._beyond_segment()

    async def _beyond_segment(self) -> None:
        """A part that its segment will not have, though not too far ahead to be asked for."""
        last = await self._until_segment()
        counts = [len(segment.parts) for segment in last.segments if segment.parts]
        if not counts or not last.part_target:
            return
        msn, part = last.open.msn, max(counts) + 1
        limit = 3 / last.part_target if last.part_target < 1 else 3
        if part - (len(last.open.parts) - 1) > limit:
            msn, part = last.segments[-1].msn, len(last.segments[-1].parts) + 1
        await self._ask("part beyond segment", wanted=(msn, part), _HLS_msn=msn, _HLS_part=part)

    async def _unknown(self, last: MediaPlaylist) -> None:
        uri = last.segments[-1].uri or ""
        folder, _, name = uri.partition("?")[0].rpartition("/")
        unknown = (folder + "/" if folder else "") + "no-such-file." + name.rpartition(".")[2]
        exchange, _ = await self._client.ask(self._watch.track_url(unknown))
        self._watch.probes.append(Probe("unknown name", exchange, last.edge))

    async def late(self) -> None:
        """What needs a playlist that has grown: delta updates, and segments that have gone."""
        last = self._watch.last
        if last is None or last.ended:
            return
        if last.media_sequence:
            await self._ask("gone msn", _HLS_msn=0)
        if last.control.decimal("CAN-SKIP-UNTIL") is not None:
            await self._delta("YES")
            await self._delta("v2")

    async def _delta(self, skip: str) -> None:
        """The update and the whole playlist of one position, asked for together."""
        for attempt in range(TRIES):
            last = self._watch.last
            if last is None or last.ended:
                return
            where: dict[str, int | str | None] = {}
            if last.control.yes("CAN-BLOCK-RELOAD"):
                where["_HLS_msn"], where["_HLS_part"] = next_position(last)
            url = self._watch.url
            (whole, text), (exchange, body) = await asyncio.gather(
                self._client.ask(with_query(url, **where)),
                self._client.ask(with_query(url, _HLS_skip=skip, **where)),
            )
            probe = _probe(f"skip {skip}", exchange, body, last.edge)
            beside = read_media(text.decode("utf-8", "replace"))
            same = probe.playlist is not None and probe.playlist.edge == beside.edge
            if (same and whole.status == 200) or attempt == TRIES - 1:
                self._watch.probes.append(
                    Probe(
                        probe.name, exchange, last.edge,
                        probe.playlist if same else None, probe.lines, _lines(text),
                    )
                )  # fmt: skip
                return

    async def ended(self) -> None:
        """After EXT-X-ENDLIST."""
        last = self._watch.last
        if last is None or not last.ended:
            return
        await self._ask("ended msn", _HLS_msn=last.open.msn + 100, _HLS_part=5)
        await self._ask("ended skip", _HLS_skip="YES")
        await self._watch.reload()

    async def heads(self) -> Sequence[Exchange]:
        """HEAD of the playlist and of its newest segment."""
        last = await self._until_segment()
        urls = [self._watch.url, urljoin(self._watch.url, last.segments[-1].uri or "")]
        return [(await self._client.ask(url, "HEAD"))[0] for url in urls]

    async def _ask(
        self, name: str, *, wanted: tuple[int, int | None] | None = None, **directives: int | str
    ) -> None:
        edge = self._watch.last.edge if self._watch.last is not None else (-1, -1)
        exchange, body = await self._client.ask(with_query(self._watch.url, **directives))
        self._watch.probes.append(_probe(name, exchange, body, edge, wanted))


def _probe(
    name: str,
    exchange: Exchange,
    body: bytes,
    edge: tuple[int, int],
    wanted: tuple[int, int | None] | None = None,
) -> Probe:
    playlist: MediaPlaylist | None = None
    lines: tuple[str, ...] = ()
    if exchange.status == 200:
        playlist, lines = read_media(body.decode("utf-8", "replace")), _lines(body)
    return Probe(name, exchange, edge, playlist, lines, wanted=wanted)
