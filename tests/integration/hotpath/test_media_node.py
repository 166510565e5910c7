"""The media process alone: SRT in, LL-HLS and spool out; control, database and bus are down."""

import io
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from infra.keys import ProgramKey
from infra.telemetry.stages import stage_quantiles
from tests.support.m3u8 import Playlist
from tests.support.media import Recipe, make_ts
from tests.support.medianode import (
    MediaProcess,
    RawPublisher,
    encoding,
    event,
    key_of,
    srt_url,
)

pytestmark = pytest.mark.integration

SMALL = Recipe(size="320x180", seconds=5, bitrate="400k")
LARGER = Recipe(size="640x360", seconds=5, bitrate="400k")


@pytest.fixture
def media(tmp_path: Path) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data") as process:
        yield process


def frames(data: bytes, kind: str = "video") -> int:
    """How many a decoder makes of it; an error in the stream is one here."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.get(**{kind: 0})[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return sum(1 for _ in container.decode(stream))


def incarnation_of(playlist: Playlist) -> str:
    uri = playlist.segments[-1].map or ""
    return uri.removeprefix("/live/").split("/")[-3]


def listed(count: int, discontinuities: int = 0) -> Callable[[Playlist], bool]:
    def enough(playlist: Playlist) -> bool:
        newest = playlist.segments[-1].discontinuity if playlist.segments else -1
        return len(playlist.segments) >= count and newest >= discontinuities

    return enough


def slate_parts(playlist: Playlist) -> int:
    """Parts since the first discontinuity."""
    segments = [*stretch(playlist, 1).segments, playlist.open]
    return sum(len(segment.parts) for segment in segments if segment.discontinuity == 1)


def stretch(playlist: Playlist, discontinuity: int) -> Playlist:
    kept = [segment for segment in playlist.segments if segment.discontinuity == discontinuity]
    return Playlist(kept, playlist.open, playlist.tags, playlist.skipped)


def check_dates(playlist: Playlist) -> None:
    """Within a stretch the wall clock goes on by exactly what the segments last."""
    for before, after in pairwise(playlist.segments):
        assert before.date is not None
        assert after.date is not None
        passed = (after.date - before.date).total_seconds()
        if before.discontinuity == after.discontinuity:
            assert passed == pytest.approx(float(before.duration or 0), abs=0.05)
        else:
            assert passed > 0


def test_srt_in_ll_hls_out(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        pictures = media.until(key, listed(2))
        sounds = media.until(key, listed(2), "audio")
        assert frames(media.media(key, pictures.segments[:2])) == 120
        assert frames(media.media(key, sounds.segments[:2]), "audio") >= 180
        answer = media.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["checks"]["bus"] != "ok"
        figures = media.get("/metrics").text
        assert 'livepath_programs{state="live"} 1.0' in figures
        assert "livepath_publishers 1.0" in figures
        assert set(stage_quantiles(figures)) == {"demuxed", "published", "packaged"}
    assert media.terminate() == 0
    assert media.troubles() == []


def test_a_publisher_that_comes_back_continues_the_programme(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        first = media.until(key, listed(1))
    # The encoder is gone without a word: the last picture is shown until another is there.
    media.logged("publisher.lost")
    slate = media.until(key, lambda found: slate_parts(found) >= 12)
    assert not slate.ended
    with encoding(srt_url(media, wanted)):
        second = media.until(key, listed(1, discontinuities=2))
        sounds = media.until(key, listed(1, discontinuities=2), "audio")
    assert incarnation_of(second) == incarnation_of(first)
    check_dates(second)
    assert frames(media.media(key, stretch(second, 2).segments[:1])) == 60
    for playlist, kind in ((second, "video"), (sounds, "audio")):
        assert len({segment.map for segment in playlist.segments}) == 1
        assert not any(segment.gap for segment in playlist.segments)
        # One stream for a decoder, over both discontinuities, without an error.
        assert frames(media.media(key, playlist.segments), kind) == sum(
            frames(media.media(key, [segment]), kind) for segment in playlist.segments
        )
    shown = stretch(second, 1).segments
    assert frames(media.media(key, shown)) == sum(len(segment.parts) or 11 for segment in shown)
    media.logged("program.live", count=2)
    figures = media.get("/metrics").text
    assert 'livepath_program_units_left_out_total{reason="slate-frames"}' in figures
    assert media.troubles() == []


def test_an_event_whose_publisher_stays_away_ends(media: MediaProcess) -> None:
    wanted = event(reconnect_window_s=1)
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        playlist = media.until(key, listed(1))
    media.logged("program.ended")
    ended = media.until(key, lambda found: found.ended)
    manifest = media.manifest(key, incarnation_of(playlist))
    assert manifest.final
    assert not manifest.previous
    renditions = {rendition.name: rendition for rendition in manifest.renditions}
    assert [entry.msn for entry in renditions["video"].segments] == [
        segment.msn for segment in ended.segments
    ]
    assert len(renditions["audio"].segments) == len(renditions["video"].segments)
    with encoding(srt_url(media, wanted)):
        media.logged("publisher.refused", reason="event-closed")
    # Over is over, for the next life of the process too.
    assert media.terminate() == 0
    media.start()
    with encoding(srt_url(media, wanted)):
        media.logged("publisher.refused", reason="event-closed")
    assert media.troubles() == []


def test_kill_9_loses_no_finished_part_and_reuses_no_number(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    seen: dict[tuple[str, int], list[bytes]] = {}
    with encoding(srt_url(media, wanted)):
        before = media.until(key, lambda found: len(found.segments) >= 2 and bool(found.open.parts))
        for rendition in ("video", "audio"):
            playlist = media.playlist(key, rendition)
            assert playlist is not None
            for segment in [*playlist.segments, playlist.open]:
                parts = [media.file(key, part.uri) for part in segment.parts]
                whole = [media.file(key, segment.uri)] if segment.uri and not parts else parts
                seen[rendition, segment.msn] = whole
        media.kill()
    first = incarnation_of(before)
    media.start()
    recorded = media.manifest(key, first)
    assert not recorded.final
    for (rendition, msn), parts in seen.items():
        stored = (media.spool(key, first) / rendition / f"s{msn}.m4s").read_bytes()
        assert stored.startswith(b"".join(parts)), (rendition, msn)

    with encoding(srt_url(media, wanted)):
        after = media.until(key, listed(1))
    second = incarnation_of(after)
    assert second > first
    assert after.segments[0].msn > max(msn for _, msn in seen)
    assert after.segments[0].discontinuity > before.segments[-1].discontinuity
    assert before.segments[-1].date is not None
    assert after.segments[0].date is not None
    assert after.segments[0].date > before.segments[-1].date
    assert media.checkpoint(key)["previous"] == [first]
    media.logged("publisher.lost", reason="media-restarted")
    assert media.troubles() == []


def test_after_a_restart_the_window_still_ends_the_event(media: MediaProcess) -> None:
    wanted = event(reconnect_window_s=2)
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        first = incarnation_of(media.until(key, listed(1)))
        media.kill()
    media.start()
    media.logged("program.ended")
    last = media.checkpoint(key)["incarnation"]
    manifest = media.manifest(key, last)
    assert manifest.final
    assert manifest.previous == (first,)


def test_an_event_that_control_ended_meanwhile_is_sealed_at_start(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        first = incarnation_of(media.until(key, listed(1)))
        media.kill()
    media.want(event(open=False, revision=2))
    media.start()
    media.logged("program.ended", reason="ended by request")
    folders = [path.name for path in media.spool(key, first).parent.iterdir()]
    (last,) = [name for name in folders if name != first]
    manifest = media.manifest(key, last)
    assert manifest.final
    assert manifest.previous == (first,)


def test_a_graceful_stop_leaves_the_event_open(media: MediaProcess) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        first = incarnation_of(media.until(key, listed(1)))
        started = time.monotonic()
        assert media.terminate() == 0
        assert time.monotonic() - started < 5
    assert not media.manifest(key, first).final
    assert media.checkpoint(key)["open"]
    media.start()
    with encoding(srt_url(media, wanted)):
        assert incarnation_of(media.until(key, listed(1))) > first
    assert media.troubles() == []


def test_timestamps_that_start_over_are_a_discontinuity(
    media: MediaProcess, tmp_path: Path
) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    stream = make_ts(tmp_path / "small.ts", SMALL).read_bytes()
    with RawPublisher(srt_url(media, wanted)) as publisher:
        publisher.send(stream, SMALL.seconds)
        publisher.send(stream, SMALL.seconds)
    playlist = media.until(key, listed(4, discontinuities=1))
    assert {segment.map for segment in playlist.segments} == {playlist.segments[0].map}
    check_dates(playlist)
    assert frames(media.media(key, stretch(playlist, 0).segments)) == 150
    media.logged("ingest.warning", code="clock-jumps")
    assert media.troubles() == []


def test_another_resolution_gets_its_own_init_section(media: MediaProcess, tmp_path: Path) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    small = make_ts(tmp_path / "small.ts", SMALL).read_bytes()
    large = make_ts(tmp_path / "large.ts", LARGER).read_bytes()
    with RawPublisher(srt_url(media, wanted)) as publisher:
        publisher.send(small, SMALL.seconds)
        publisher.send(large, LARGER.seconds)
    playlist = media.until(key, listed(4, discontinuities=1))
    sizes = []
    for number in (0, 1):
        data = media.media(key, stretch(playlist, number).segments[:1])
        with av.open(io.BytesIO(data)) as container:
            frame = next(container.decode(video=0))
            sizes.append((frame.width, frame.height))
    assert sizes == [(320, 180), (640, 360)]
    assert media.troubles() == []


def test_a_stalled_publisher_gets_its_open_segment_closed(
    media: MediaProcess, tmp_path: Path
) -> None:
    wanted = event()
    key = key_of(wanted)
    media.want(wanted)
    media.start()
    stream = make_ts(tmp_path / "small.ts", SMALL).read_bytes()
    with RawPublisher(srt_url(media, wanted)) as publisher:
        publisher.send(stream, SMALL.seconds)
        # 5 s of media are two whole segments and a third that only the stall closes.
        playlist = stretch(media.until(key, listed(4)), 0)
        assert float(sum(s.duration or 0 for s in playlist.segments)) == pytest.approx(5, abs=0.2)
        media.logged("publisher.lost", reason="stalled")
    assert media.troubles() == []


def test_a_full_spool_stops_recording_and_nothing_else(tmp_path: Path) -> None:
    wanted = event()
    key = key_of(wanted)
    with MediaProcess(tmp_path / "data", spool_max_bytes="400000") as media:
        media.want(wanted)
        media.start()
        with encoding(srt_url(media, wanted)):
            media.logged("recording.degraded", reason="spool-full")
            full = media.playlist(key)
            assert full is not None
            newest = full.segments[-1].msn
            later = media.until(key, lambda found: found.segments[-1].msn >= newest + 2)
            assert frames(media.media(key, later.segments[-2:])) == 120
            answer = media.get("/readyz")
            assert answer.status_code == 200
            assert "spool-full" in answer.json()["checks"]["spool"]
        assert media.terminate() == 0
        manifest = media.manifest(key, incarnation_of(later))
    (video,) = [each for each in manifest.renditions if each.name == "video"]
    assert video.segments
    assert {hole.reason for hole in video.holes} == {"spool-full"}
    recorded = {entry.msn for entry in video.segments}
    lost = {n for hole in video.holes for n in range(hole.first_msn, hole.last_msn + 1)}
    assert not recorded & lost
    assert recorded | lost >= {segment.msn for segment in later.segments}


def test_garbage_costs_nobody_else_anything(media: MediaProcess, tmp_path: Path) -> None:
    good, bad = event("ev_good"), event("ev_bad")
    media.want(good, bad)
    media.start()
    stream = bytearray(make_ts(tmp_path / "small.ts", SMALL).read_bytes())
    for at in range(20_000, len(stream), 2_500):
        stream[at : at + 40] = bytes(range(40))
    with encoding(srt_url(media, good)), RawPublisher(srt_url(media, bad)) as publisher:
        publisher.send(bytes(stream), SMALL.seconds)
        playlist = media.until(key_of(good), listed(3))
    assert frames(media.media(key_of(good), playlist.segments[:3])) == 180
    assert media.troubles() == []


def test_a_second_publisher_takes_over_or_is_refused_as_the_event_says(
    media: MediaProcess,
) -> None:
    shared, jealous = event("ev_shared", takeover=True), event("ev_jealous")
    media.want(shared, jealous)
    media.start()
    with encoding(srt_url(media, shared)), encoding(srt_url(media, jealous)):
        media.until(key_of(shared), listed(1))
        media.until(key_of(jealous), listed(1))
        with encoding(srt_url(media, shared)), encoding(srt_url(media, jealous)):
            media.logged("publisher.refused", reason="busy")
            playlist = media.until(key_of(shared), listed(3, discontinuities=1))
            assert {s.discontinuity for s in media.until(key_of(jealous), listed(2)).segments} == {
                0
            }
    check_dates(playlist)
    assert not [r for r in media.log if r.get("reason") == "taken-over"]
    assert media.troubles() == []


def test_two_feeds_of_one_project_do_not_mix(media: MediaProcess) -> None:
    one, two = event("ev_one"), event("ev_two")
    media.want(one, two)
    media.start()
    with encoding(srt_url(media, one)), encoding(srt_url(media, two), size="640x360"):
        widths = []
        for desired in (one, two):
            playlist = media.until(key_of(desired), listed(1))
            data = media.media(key_of(desired), playlist.segments[:1])
            with av.open(io.BytesIO(data)) as container:
                widths.append(next(container.decode(video=0)).width)
    assert widths == [320, 640]
    unknown = media.get(f"/live/{ProgramKey('acme', 'ev_three')}/video.m3u8")
    assert unknown.status_code == 404
