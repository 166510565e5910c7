"""Audio that is not carried as it is goes through a child process."""

import itertools
import os
import signal
from pathlib import Path

import pytest

from hotpath.ingest.fallback_process import FallbackProcess
from hotpath.ingest.session import FormatsChanged, IngestEvent, IngestWarning, UnitsReady
from hotpath.media.unit import Codec, Unit
from tests.support.ingest import entry, serving, srt_url, until
from tests.support.media import MP2, Recipe, make_ts, publishing, units_of

pytestmark = pytest.mark.integration

A = entry("ev_a")
SPANISH = ("-metadata:s:a", "language=spa", "-disposition:a", "visual_impaired")
AC3 = Recipe(audio=("-c:a", "ac3", "-b:a", "128k", "-ar", "44100", *SPANISH))
MP2_LONG = Recipe(seconds=20.0, size="320x180", bitrate="300k", audio=MP2.audio)


def convert(path: Path) -> list[IngestEvent]:
    events: list[IngestEvent] = []
    child = FallbackProcess(events.extend)
    child.send(path.read_bytes())
    child.finish()
    assert child.wait(30)
    assert not child.failed
    return events


@pytest.mark.parametrize(("name", "recipe"), [("mp2", MP2), ("ac3", AC3)])
def test_foreign_audio_becomes_aac_and_video_stays_as_it_is(
    media: Path, name: str, recipe: Recipe
) -> None:
    path = make_ts(media / f"{name}.ts", recipe)
    events = convert(path)
    units = [u for e in events if isinstance(e, UnitsReady) for u in e.units]
    video = [(u.pts, u.dts, u.keyframe, u.data) for u in units if u.track == "video"]
    assert video == [(u.pts, u.dts, u.keyframe, u.data) for u in units_of(path)]
    formats = next(e.formats for e in reversed(events) if isinstance(e, FormatsChanged))
    audio_format = formats[1]
    assert (audio_format.codec, audio_format.codecs) == (Codec.AAC, "mp4a.40.2")
    said = (audio_format.language, audio_format.describes_video)
    assert said == (("es", True) if recipe is AC3 else ("", False))
    audio = [u for u in units if u.track == "audio"]
    seconds = len(audio) * 1024 / audio_format.sample_rate
    assert seconds == pytest.approx(4.0, abs=0.15)
    assert abs(audio[0].pts - video[0][0]) < 90_000 // 10
    steps = {b.pts - a.pts for a, b in itertools.pairwise(audio)}
    nominal = 1024 * 90_000 / audio_format.sample_rate
    assert all(abs(step - nominal) <= 1 for step in steps)


async def test_a_publisher_with_mp2_is_converted_on_the_way(media: Path) -> None:
    path = make_ts(media / "mp2.ts", MP2)
    async with serving(A) as (ingest, sink):
        with publishing(path, srt_url(ingest.port, A)):
            await until(lambda: sink.ended)
        assert "audio-codec" in sink.codes()
        assert len(sink.track(1, "video")) >= 119
        assert len(sink.track(1, "audio")) > 160
        formats = sink.formats[1][-1]
        assert [f.codec for f in formats] == [Codec.H264, Codec.AAC]


async def test_a_crash_costs_this_stream_a_moment_and_no_other(
    media: Path, long_stream: Path
) -> None:
    other = entry("ev_b")
    path = make_ts(media / "mp2_long.ts", MP2_LONG)
    async with serving(A, other) as (ingest, sink):
        with (
            publishing(path, srt_url(ingest.port, A)),
            publishing(long_stream, srt_url(ingest.port, other)),
        ):
            await until(lambda: len(sink.units) == 2)
            ids = {p.event: p.id for p in sink.publishers}
            mine = ids["ev_a"]
            await until(lambda: sink.track(mine, "audio"))
            child = next(c for c in ingest._live.values() if c.publisher.id == mine)._fallback
            assert child is not None
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            await until(lambda: "fallback-restarted" in sink.codes())
            before = len(sink.track(mine, "audio"))
            await until(lambda: len(sink.track(mine, "audio")) > before)
        assert not any(u.damaged for u in sink.track(ids["ev_b"], "video"))
        assert set(sink.ended) <= {1, 2}


async def test_an_audio_converter_that_keeps_crashing_leaves_video(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crashing(FallbackProcess):
        def __init__(self, on_events: object) -> None:
            super().__init__(on_events, ("false",))  # type: ignore[arg-type]

    monkeypatch.setattr("hotpath.ingest.connection.FallbackProcess", Crashing)
    path = make_ts(media / "mp2_long.ts", MP2_LONG)
    async with serving(A) as (ingest, sink):
        with publishing(path, srt_url(ingest.port, A)):
            await until(lambda: "fallback-failed" in sink.codes())
            await until(lambda: len(sink.track(1, "video")) > 10)
        assert sink.track(1, "audio") == []
        assert sink.track(1, "video")[0].keyframe


def test_what_is_no_transport_stream_is_said() -> None:
    events: list[IngestEvent] = []
    child = FallbackProcess(events.extend)
    child.send(b"no transport stream" * 100)
    child.finish()
    assert child.wait(30)
    assert [e.code for e in events if isinstance(e, IngestWarning)] == ["unreadable"]


def test_a_child_that_does_not_read_costs_a_bounded_queue() -> None:
    child = FallbackProcess(lambda events: None, ("sleep", "60"))
    try:
        for _ in range(200):
            child.send(bytes(100_000))
        assert child.dropped_bytes > 10_000_000
    finally:
        while child.pid is None:
            child.wait(0.01)
        child.kill()
    assert child.wait(10)


def test_units_of_a_killed_child_are_not_passed_on(media: Path) -> None:
    seen: list[Unit] = []

    def collect(events: list[IngestEvent]) -> None:
        seen.extend(u for e in events if isinstance(e, UnitsReady) for u in e.units)

    child = FallbackProcess(collect)
    child.kill()
    child.send(make_ts(media / "mp2.ts", MP2).read_bytes())
    assert child.wait(30)
    assert seen == []
