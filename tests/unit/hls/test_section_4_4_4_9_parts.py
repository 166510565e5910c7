"""Parts and segments as playlists list them, from units to text: draft-pantos-hls-rfc8216bis
4.4.3.1 (target duration), 4.4.4.1 (EXTINF), 4.4.4.3, 4.4.4.6 and 4.4.4.9 (EXT-X-PART).

Every frame rate, sound and GOP length that a publisher is likely to have goes through the mark
writer, the segmenter and the playlists; each playlist that a player could get is looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest

from hotpath.hls.events import Ended, GapSegment, Incomplete, InitNeeded, PartReady, SegmentReady
from hotpath.hls.live import LivePlaylists
from hotpath.hls.segmenter import Segmenter
from hotpath.hls.waiting import WaitingRoom
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Item, Unit
from hotpath.program.marks import MarkWriter
from infra.keys import ProgramKey
from tests.support import m3u8
from tests.support.asking import respond

HZ, RATE, TARGET = 90_000, 48_000, 2
PART_TARGET = Fraction("0.215")
EPOCH_NS = 1_790_000_000_000_000_000
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360)
AAC = Format(AUDIO, Codec.AAC, RATE, b"asc", "mp4a.40.2", frame_duration=1024)
HE_AAC = replace(AAC, codecs="mp4a.40.5", frame_duration=2048)
OPUS = Format(AUDIO, Codec.OPUS, RATE, b"head", "opus", frame_duration=960)
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
}
SOURCES: dict[str, tuple[Format, tuple[float, ...]]] = {
    "aac, GOPs of 1 s": (AAC, (1.0,)),
    "he-aac, GOPs of 2 s": (HE_AAC, (2.0,)),
    "opus, GOPs of 4 s": (OPUS, (4.0,)),
    "aac, varying GOPs": (AAC, (0.5, 1.7, 2.3, 0.9)),
    "opus, GOPs that do not fit": (OPUS, (1.28,)),
}


def units(fps: Fraction, gops_s: Sequence[float], sound: Format, start_s: int) -> list[Unit]:
    """Nine seconds."""
    found: list[tuple[Fraction, Unit]] = []
    keyframe_at, gop = Fraction(0), 0
    for n in range(int(9 * fps)):
        at = n / fps
        keyframe = at >= keyframe_at
        if keyframe:
            keyframe_at += Fraction(gops_s[gop % len(gops_s)])
            gop += 1
        dts = round((start_s + at) * HZ)
        found.append((at, Unit(VIDEO, dts, dts, keyframe, b"v", 0, 0)))
    for n in range(9 * RATE // sound.frame_duration):
        dts = start_s * RATE + n * sound.frame_duration
        at = Fraction(n * sound.frame_duration, RATE)
        found.append((at, Unit(AUDIO, dts, dts, True, b"a", 0, 0)))
    return [unit for _, unit in sorted(found, key=lambda pair: pair[0])]


def programme(fps: Fraction, gops_s: Sequence[float], sound: Format) -> Iterator[list[Item]]:
    """A publisher, and after 20 s another one."""
    marks = MarkWriter(epoch_ns=EPOCH_NS, part_target_ms=215, target_duration_s=TARGET)
    for start_s in (0, 20):
        yield marks.begin([H264, sound], 0)
        for unit in units(fps, gops_s, sound, start_s):
            yield marks.write(unit, 0)
    yield marks.end(0, final=True)


def feed(live: LivePlaylists, segmenter: Segmenter, items: list[Item]) -> bool:
    """Whether a playlist has changed."""
    events = segmenter.receive(items)
    for event in events:
        match event:
            case InitNeeded():
                live.init(event.format, event.number, b"init")
            case PartReady():
                live.part(event, b"part")
            case SegmentReady():
                live.segment(event)
            case GapSegment() | Incomplete():
                live.gap(event)
            case Ended(final=final):
                live.end(final=final)
    return bool(events)


@pytest.mark.parametrize(("sound", "gops_s"), SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
async def test_whatever_a_publisher_sends(
    fps: Fraction, sound: Format, gops_s: Sequence[float]
) -> None:
    live = LivePlaylists(
        ProgramKey("acme", "ev_1"),
        "k1",
        access="public",
        part_target_ms=215,
        target_duration_s=TARGET,
        room=WaitingRoom(0),
        clock=lambda: 0,
    )
    segmenter = Segmenter()
    for number, items in enumerate(programme(fps, gops_s, sound)):
        if not feed(live, segmenter, items) or not live.playable or number % 10:
            continue
        for track in (VIDEO, AUDIO):
            check(m3u8.parse(await text_of(live, track)))
    one, other = [m3u8.parse(await text_of(live, track)) for track in (VIDEO, AUDIO)]
    assert one.ended
    check(one)
    check(other)
    check_siblings(one, other)
    assert one.segments[-1].discontinuity == 1


async def text_of(live: LivePlaylists, track: str) -> str:
    reply = await respond(live, f"{track}.m3u8")
    assert reply.status == 200
    return reply.body.decode()


def check(found: m3u8.Playlist) -> None:
    assert found.only("#EXT-X-TARGETDURATION") == str(TARGET)
    for segment in found.segments:
        assert segment.duration is not None
        assert int(segment.duration + Fraction(1, 2)) <= TARGET
        assert segment.date is not None
        assert segment.map is not None
        if segment.parts:
            # The parts and their segment have the same samples, so the same time.
            assert abs(sum(p.duration for p in segment.parts) - segment.duration) < len(
                segment.parts
            ) * Fraction(2, 10**6)
    for listed in [*found.segments, found.open]:
        check_parts(listed)
    for before, after in pairwise(found.segments):
        if before.discontinuity == after.discontinuity:
            assert before.date is not None
            assert after.date is not None
            end = before.date + timedelta(seconds=float(before.duration or 0))
            assert abs((after.date - end).total_seconds()) < 0.05
        else:
            assert after.discontinuity == before.discontinuity + 1


def check_parts(segment: m3u8.SegmentTag) -> None:
    for index, part in enumerate(segment.parts):
        assert part.duration <= PART_TARGET
        final = segment.uri is None or index == len(segment.parts) - 1
        assert final or part.independent or part.duration >= PART_TARGET * 85 / 100


def check_siblings(one: m3u8.Playlist, other: m3u8.Playlist) -> None:
    """6.2.4: matching content has matching numbers and times."""
    theirs = {segment.msn: segment for segment in other.segments}
    shared = [segment for segment in one.segments if segment.msn in theirs]
    assert shared
    for segment in shared:
        sibling = theirs[segment.msn]
        assert segment.discontinuity == sibling.discontinuity
        assert abs(moment(segment) - moment(sibling)) <= timedelta(milliseconds=50)


def moment(segment: m3u8.SegmentTag) -> datetime:
    assert segment.date is not None
    return segment.date
