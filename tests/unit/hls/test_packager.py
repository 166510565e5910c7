"""The packager: the same units to viewers and to the recorder, whatever is lost on the way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY, generate_latest

from hotpath.bus.stream import ProgramStream
from hotpath.hls.events import PartReady
from hotpath.hls.fmp4 import read_fragments
from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import AUDIO, VIDEO, FormatChange, Item, ProgramEnd, Sample
from hotpath.program.marks import MarkWriter
from infra.telemetry.stages import stage_quantiles
from tests.support import m3u8
from tests.support.asking import respond
from tests.support.coded import EPOCH_NS, coded, decoded, marked, shifted
from tests.support.on_air import KEY, OnAir
from tests.support.rungs import with_rungs


def programme(max_bytes: int = 32 * 1024 * 1024) -> OnAir:
    origin = HlsOrigin()
    live = origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    return OnAir(origin, ProgramStream(KEY, "k1", max_bytes=max_bytes), live)


async def package(items: Sequence[Item]) -> OnAir:
    on_air = programme()
    on_air.stream.publish(items)
    await asyncio.wait_for(on_air.packager.run(), 30)
    return on_air


async def text(on_air: OnAir, name: str) -> m3u8.Playlist:
    reply = await respond(on_air.live, name)
    assert reply.status == 200
    return m3u8.parse(reply.body.decode())


async def test_the_recorder_gets_every_unit_once_with_its_times() -> None:
    source = coded("h264-b", "aac")
    recorder = (await package(marked(source, msn=64))).recorder
    assert recorder.sealed is True
    assert (recorder.gaps, recorder.holes) == ([], [])
    for track in (VIDEO, AUDIO):
        units = source.track(track)
        media, position = b"", 0
        for (name, msn), duration in sorted(recorder.segments.items()):
            if name != track:
                continue
            parts = [v for k, v in sorted(recorder.parts.items()) if k[:2] == (track, msn)]
            assert sum(about["duration"] for _, about in parts) == duration
            for data, about in parts:
                (fragment,) = read_fragments(data)
                assert fragment.base == about["start"] == units[position].dts
                assert len(fragment.samples) == about["samples"]
                assert about["ingest_ns"] == units[position].ingest_ns
                assert about["independent"] == (units[position].keyframe or track == AUDIO)
                pts = units[position].pts * 1_000_000_000 // source.format(track).timescale
                assert about["pdt_ns"] == EPOCH_NS + pts
                position += about["samples"]
            media += recorder.media(track, msn)
        assert position == len(units)
        whole = recorder.inits[track, 0] + media
        container = "h264" if track == VIDEO else "aac"
        assert decoded(whole, "mp4") == decoded(source.elementary[track], container)


async def test_viewers_and_recorder_get_the_same_bytes() -> None:
    on_air = await package(marked(coded()))
    for (track, msn), _ in on_air.recorder.segments.items():
        reply = on_air.live.files.held(f"k1/{track}/s{msn}.m4s")
        assert reply is not None
        assert reply.body == on_air.recorder.media(track, msn)


async def test_what_viewers_can_have_was_given_to_the_recorder_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_air = programme()
    publish = on_air.live.part
    published = []

    def check(part: PartReady, data: bytes) -> None:
        place = (part.format.track, part.msn, part.part)
        assert on_air.recorder.parts[place][0] == data
        publish(part, data)
        published.append(place)

    monkeypatch.setattr(on_air.live, "part", check)
    on_air.stream.publish(marked(coded()))
    await asyncio.wait_for(on_air.packager.run(), 30)
    assert published == list(on_air.recorder.parts)


async def test_the_same_units_give_the_same_bytes() -> None:
    first, second = await package(marked(coded())), await package(marked(coded()))
    assert first.recorder.parts == second.recorder.parts


async def test_a_node_that_stops_leaves_the_playlist_open() -> None:
    items = [*marked(coded())[:-1], ProgramEnd(final=False)]
    on_air = await package(items)
    assert on_air.recorder.sealed is False
    found = await text(on_air, "video.m3u8")
    assert not found.ended
    reply = await respond(on_air.live, "video.m3u8", f"_HLS_msn={found.open.msn}")
    assert reply.status == 503


async def test_units_lost_behind_the_ring_become_gaps_and_holes() -> None:
    items = marked(coded(seconds=12, gop=30))
    on_air = programme(max_bytes=400_000)
    first = next(n for n, i in enumerate(items) if isinstance(i, Sample) and i.mark.msn == 1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(on_air.packager.run())
        await on_air.publish(items[: first + 40])
        # too much at once: the packager is moved to a later keyframe
        on_air.stream.publish(items[first + 40 :])
    recorder = on_air.recorder
    assert recorder.sealed is True
    lost = {(track, msn) for track, low, high, _ in recorder.holes for msn in range(low, high + 1)}
    assert {track for track, _ in lost} == {VIDEO, AUDIO}
    assert {reason for _, _, _, reason in recorder.holes} == {"reader-behind"}
    for track in (VIDEO, AUDIO):
        found = await text(on_air, f"{track}.m3u8")
        assert [s.msn for s in found.segments] == list(range(len(found.segments)))
        assert {s.msn for s in found.segments if s.gap} == {m for t, m in lost if t == track}
        for segment in found.segments:
            whole = segment.gap or (track, segment.msn) in recorder.segments
            assert whole
            assert segment.duration is not None
            assert int(segment.duration + 1) <= 3
        total = sum(segment.duration or 0 for segment in found.segments)
        assert abs(total - 12) < 0.05


async def test_a_rendition_that_cannot_be_packaged_leaves_the_other_alone() -> None:
    items = [
        replace(item, format=replace(item.format, config=b"nothing"))
        if isinstance(item, FormatChange) and item.format.track == VIDEO
        else item
        for item in marked(coded())
    ]
    on_air = await package(items)
    assert {track for track, _ in on_air.recorder.segments} == {AUDIO}
    assert (await text(on_air, "audio.m3u8")).ended
    assert (await respond(on_air.live, "video.m3u8")).status == 404
    index = (await respond(on_air.live, "index.m3u8")).body.decode()
    assert index.endswith("\naudio.m3u8\n")


async def test_a_rendition_that_turns_up_late_is_waited_for() -> None:
    source = coded()
    pictures = replace(source, formats=(source.format(VIDEO),), units=tuple(source.track(VIDEO)))
    writer = MarkWriter(epoch_ns=EPOCH_NS)
    items = writer.begin(pictures.formats, EPOCH_NS)
    for unit in source.track(VIDEO)[:75]:
        items += writer.write(unit, EPOCH_NS)
    on_air = programme()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(on_air.packager.run())
        await on_air.publish(items)
        assert (await respond(on_air.live, "index.m3u8")).status == 200
        assert (await respond(on_air.live, "audio.m3u8")).status == 404
        await on_air.publish(writer.add(source.format(AUDIO)))
        late = tasks.create_task(text(on_air, "audio.m3u8"))
        units = [*source.track(VIDEO)[75:], *(u for u in source.track(AUDIO) if u.dts >= 120_000)]
        units.sort(key=lambda unit: unit.dts / source.format(unit.track).timescale)
        for unit in units:
            await on_air.publish(writer.write(unit, EPOCH_NS))
        found = await late
        assert found.segments
        assert found.segments[0].msn > 0
        await on_air.publish(writer.end(EPOCH_NS, final=True))
    video, audio = await text(on_air, "video.m3u8"), await text(on_air, "audio.m3u8")
    dates = {segment.msn: segment.date for segment in video.segments}
    for segment in audio.segments[1:]:
        assert segment.date is not None
        start = dates[segment.msn]
        assert start is not None
        assert abs((segment.date - start).total_seconds()) < 0.03


async def test_another_publisher_is_a_discontinuity_in_every_rendition() -> None:
    first, second = coded("h264", "aac", seconds=5), coded("h264-b", "aac", seconds=5)
    later = shifted(second.units, {VIDEO: 6 * 90_000, AUDIO: 6 * 48_000})
    writer = MarkWriter(epoch_ns=EPOCH_NS, msn=64, discontinuity_seq=3)
    items = writer.begin(first.formats, EPOCH_NS)
    for unit in first.units:
        items += writer.write(unit, EPOCH_NS)
    items += writer.begin(second.formats, EPOCH_NS)
    for unit in later:
        items += writer.write(unit, EPOCH_NS)
    on_air = await package([*items, *writer.end(EPOCH_NS, final=True)])
    changes = {}
    for track in (VIDEO, AUDIO):
        found = await text(on_air, f"{track}.m3u8")
        assert found.segments[0].discontinuity == 3
        after = [s for s in found.segments if s.discontinuity == 4]
        assert [s.msn for s in found.segments][-len(after) :] == [s.msn for s in after]
        changes[track] = after[0].msn
        reply = on_air.live.files.held(after[0].map or "")
        assert reply is not None
        media = b"".join(on_air.recorder.media(track, s.msn) for s in after)
        container = "h264" if track == VIDEO else "aac"
        assert decoded(reply.body + media, "mp4") == decoded(second.elementary[track], container)
        assert after[0].date is not None
        apart = after[0].date.timestamp() - (found.segments[0].date or after[0].date).timestamp()
        assert abs(apart - 6) < 0.1
    assert changes[VIDEO] == changes[AUDIO]


async def test_packaging_is_a_measured_stage() -> None:
    await package(marked(coded()))
    assert "packaged" in stage_quantiles(generate_latest().decode())


def packaged_units() -> float:
    labels = {"stage": "packaged"}
    return REGISTRY.get_sample_value("livepath_stage_seconds_count", labels) or 0


async def test_the_stage_is_that_of_the_source() -> None:
    source, before = coded(seconds=2), packaged_units()
    await package(with_rungs(marked(source), "720p", "360p"))
    assert packaged_units() - before == len(source.units)
