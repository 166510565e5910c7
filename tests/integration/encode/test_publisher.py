"""An Opus publisher through real bridges to a programme: AAC for LL-HLS, its own for WebRTC."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.encode.bridge import Bridge, OnFailed, OnOutput
from hotpath.ingest.admission import Refusal
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Sample,
    Unit,
)
from hotpath.node.bridges import BridgeCollector, Bridges
from hotpath.node.bridging import BridgingSink
from hotpath.program.service import SECOND, Numbers, Program, ProgramOptions
from hotpath.program.states import OpenWanted, ProgramEvent
from tests.support.bridges import PATIENT, clicks, coded_sound, found, heard, until
from tests.support.coded import coded

pytestmark = pytest.mark.integration
PUBLISHER = Publisher(7, "acme", "ev_1", "main", "[::1]:9", 1)
TIMES = (0.5, 1.5, 2.5)


class ProgramAlone:
    """The sink of one programme whose clock is the publisher's."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.now = 0
        self.program = Program(ProgramOptions(), self._heard)

    def _heard(self, event: ProgramEvent) -> None:
        if isinstance(event, OpenWanted):
            self.program.opened(self._publish, Numbers(0, 0, SECOND), self.now, SECOND)

    def _publish(self, items: Iterable[Item]) -> None:
        self.items += items

    def publisher_connected(self, publisher: Publisher) -> None:
        self.program.publisher_connected(publisher.id, self.now, SECOND)

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        self.program.publisher_formats(publisher_id, formats, self.now, SECOND)

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        self.program.publisher_units(publisher_id, units, self.now, SECOND)

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        raise AssertionError(message)

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        self.program.close(reason, self.now, SECOND)

    def publisher_refused(self, refusal: Refusal) -> None:
        raise AssertionError(refusal)


@asynccontextmanager
async def running_bridges() -> AsyncIterator[Bridges]:
    bridges = Bridges(PATIENT)
    task = asyncio.create_task(bridges.run())
    await asyncio.sleep(0)
    try:
        yield bridges
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not bridges.running()


async def test_both_sounds_are_on_the_programmes_clock() -> None:
    sound = clicks(48_000, 4, TIMES)
    # The encoder's lookahead lies before the base: the first packet is at 0, like the picture.
    opus, packets = coded_sound(Codec.OPUS, sound, 48_000, "stereo", clock=90_000, base=585)
    picture = coded("h264", None, 6, 30)
    video = [replace(u, ingest_ns=SECOND) for u in picture.track(VIDEO) if u.dts < 4 * 90_000]
    units = sorted([*video, *packets], key=lambda u: u.dts)
    made: list[Bridge] = []

    async with running_bridges() as bridges:

        def make(source: Format, target: Codec, output: OnOutput, failed: OnFailed) -> Bridge:
            made.append(bridges.for_publisher(source, target, output, failed))
            return made[-1]

        programme = ProgramAlone()
        sink = BridgingSink(programme, make)
        sink.publisher_connected(PUBLISHER)
        sink.publisher_formats(7, [picture.format(VIDEO), opus])
        await until(lambda: made[0].format is not None)
        for unit in units:
            sink.publisher_units(7, [unit])
            await until(lambda: made[0].waiting < 16)
        samples = [i for i in programme.items if isinstance(i, Sample)]
        await until(lambda: made[0].waiting == 0)
        await until(
            lambda: (
                sum(i.unit.track == AUDIO for i in programme.items if isinstance(i, Sample)) >= 140
            )
        )
        registry = CollectorRegistry()
        registry.register(BridgeCollector(bridges))
        assert b'livepath_bridges{bridge="opus-aac"} 1.0' in generate_latest(registry)
        sink.publisher_disconnected(7, "over")
        await until(lambda: not bridges.running())

    formats = {i.format.track: i.format for i in programme.items if isinstance(i, FormatChange)}
    assert {track: f.codec for track, f in formats.items()} == {
        VIDEO: Codec.H264,
        AUDIO: Codec.AAC,
        COMPANION: Codec.OPUS,
    }
    samples = [i for i in programme.items if isinstance(i, Sample)]
    aac = [i.unit for i in samples if i.unit.track == AUDIO]
    own = [i.unit for i in programme.items if isinstance(i, CompanionSample)]
    assert [u.data for u in own] == [p.data for p in packets[-len(own) :]]
    assert {i.mark.discontinuity_seq for i in samples} == {0}
    for track, sounds in ((AUDIO, aac), (COMPANION, own)):
        heard_at = heard(formats[track], sounds, clock=48_000, base=312)
        for time in TIMES:
            assert found(heard_at, time) == pytest.approx(time + 0.001, abs=0.005)


async def test_what_fanout_asks_for_is_made_in_the_tracks_own_clocks() -> None:
    source = coded("h264-b", "aac")
    out: dict[Codec, list[Unit]] = {Codec.H264: [], Codec.OPUS: []}

    def collect(format: Format, units: Sequence[Unit]) -> None:
        out[format.codec] += units

    async with running_bridges() as bridges:
        picture = bridges.make_bridge(source.format(VIDEO), Codec.H264, collect)
        sound = bridges.make_bridge(source.format(AUDIO), Codec.OPUS, collect)
        for unit in source.units[:300]:
            (picture if unit.track == VIDEO else sound).send([unit])
            await until(lambda: picture.waiting + sound.waiting < 16)
        await until(lambda: len(out[Codec.H264]) > 100 and len(out[Codec.OPUS]) > 150)
        assert bridges.running() == {"h264-h264": 1, "aac-opus": 1}
        picture.close()
        await until(lambda: bridges.running() == {"aac-opus": 1})
    assert out[Codec.OPUS][1].pts - out[Codec.OPUS][0].pts == 960
    assert out[Codec.H264][0].pts == source.track(VIDEO)[0].pts


async def test_a_bridge_needs_somebody_to_run_it() -> None:
    with pytest.raises(RuntimeError, match=r"Bridges\.run"):
        Bridges().make_bridge(coded(None, "aac").format(AUDIO), Codec.OPUS, lambda *_: None)
