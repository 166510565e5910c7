"""What is read of the programmes on the air."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from hotpath.ingest.statistics import Publisher, SocketStatistics, SrtStatistics
from hotpath.node.readings import Readings, Watched
from infra.keys import ProgramKey
from infra.publishers import Role
from infra.telemetry.stages import observe_stage

NOWHERE = "redis://127.0.0.1:1/0"
SECOND = 1_000_000_000


def encoder(number: int, role: Role, pictures: int = 0, at_s: int = 1) -> SrtStatistics:
    publisher = Publisher(number, "acme", "ev_1", "main", "192.0.2.1:9", 0, role=role)
    return SrtStatistics(publisher, SocketStatistics(), video_units=pictures, at_ns=at_s * SECOND)


def readings(entries: Iterable[Any], statistics: list[list[SrtStatistics]]) -> Readings:
    """Of a node that looks so at one look after the other."""
    srt = SimpleNamespace(statistics=lambda: statistics.pop(0))
    whip = SimpleNamespace(statistics=list)
    watched: Any = Watched(lambda: entries, srt, whip, {"ev_1": 7}.__getitem__)  # type: ignore[arg-type]
    return Readings(NOWHERE, "n1", watched)


def entry(*publishers: int) -> Any:
    return SimpleNamespace(
        key=ProgramKey("acme", "ev_1"),
        program=SimpleNamespace(state=SimpleNamespace(value="live")),
        playlists=SimpleNamespace(count_viewers=lambda: 40),
        publishers=dict.fromkeys(publishers),
        switcher=SimpleNamespace(active=2),
    )


def test_a_programme_is_read_with_its_encoders_and_viewers() -> None:
    first = [encoder(2, Role.BACKUP), encoder(1, Role.PRIMARY), encoder(9, Role.PRIMARY)]
    later = [encoder(2, Role.BACKUP, 150, 6), encoder(1, Role.PRIMARY, 0, 6)]
    taken = readings([entry(2, 1, 5)], [first, later])
    observe_stage("packaged", 0.1)
    taken.take(1000)
    observe_stage("packaged", 0.1)
    [one] = taken.take(6000)
    assert (one.project, one.event, one.feed, one.node, one.at_ms) == (
        "acme",
        "ev_1",
        "main",
        "n1",
        6000,
    )
    assert [(s.role, s.on_air, s.fps) for s in one.sources] == [
        (Role.PRIMARY, False, 0.0),
        (Role.BACKUP, True, 30.0),
    ]
    assert (one.viewers.whep, one.viewers.hls) == (7, 40)
    assert 80 < one.stages["packaged"].p50_ms < 130


def test_before_storage_is_open_nobody_watches_by_hls() -> None:
    waiting = entry()
    waiting.playlists = None
    [one] = readings([waiting], [[]]).take(0)
    assert (one.viewers.hls, one.sources) == (0, ())


async def test_neither_a_bug_nor_a_bus_that_is_away_ends_it() -> None:
    looks: list[int] = []
    enough = asyncio.Event()

    def on_air() -> list[Any]:
        looks.append(1)
        if len(looks) == 3:
            enough.set()
        if len(looks) == 1:
            raise RuntimeError("a bug")
        return [entry()]

    nothing = SimpleNamespace(statistics=list)
    watched: Any = Watched(on_air, nothing, nothing, lambda _event: 0)  # type: ignore[arg-type]
    running = asyncio.create_task(Readings(NOWHERE, "n1", watched, every_s=0).run())
    async with asyncio.timeout(20):
        await enough.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
