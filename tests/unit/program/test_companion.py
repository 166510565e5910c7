"""The companion: there for WebRTC viewers, and for nobody else."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from hotpath.bus.stream import ProgramStream
from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Sample,
    Unit,
)
from hotpath.program.service import SECOND, Numbers, Program, ProgramOptions
from hotpath.program.states import OpenWanted, ProgramEvent
from tests.support.asking import respond
from tests.support.coded import coded
from tests.support.on_air import KEY, OnAir

HZ = 90_000
EPOCH = 1_790_000_000 * SECOND
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000, frame_duration=1024)
OPUS = Format(COMPANION, Codec.OPUS, 48_000, b"OpusHead", "opus", sample_rate=48_000, channels=2)
MONO = replace(OPUS, channels=1)
PACKET = {10: b"\xf4", 20: b"\xfc", 60: b"\xff\x03"}
"""Opus packets by milliseconds, as their TOC byte says."""


def video(n: int, *, keyframe: bool | None = None) -> Unit:
    key = n % 30 == 0 if keyframe is None else keyframe
    return Unit(VIDEO, n * 3000, n * 3000, key, b"v", EPOCH + n * SECOND // 30, 0)


def opus(n: int, ms: int = 20, *, damaged: bool = False) -> Unit:
    pts = n * 90 * ms
    return Unit(COMPANION, pts, pts, True, PACKET[ms], EPOCH + n * ms * 10**6, 0, damaged=damaged)


def aac(n: int) -> Unit:
    return Unit(AUDIO, n * 1920, n * 1920, True, b"a", EPOCH + n * 21_333_333, 0)


class OneProgram:
    """A programme that may publish at once."""

    def __init__(self, formats: Sequence[Format]) -> None:
        self.items: list[Item] = []
        self.program = Program(ProgramOptions(), self._heard)
        self.connect(1, formats)

    def connect(self, publisher: int, formats: Sequence[Format]) -> None:
        self.publisher = publisher
        self.program.publisher_connected(publisher, 0, EPOCH)
        self.formats(formats)

    def formats(self, formats: Sequence[Format]) -> None:
        self.program.publisher_formats(self.publisher, formats, 0, EPOCH)

    def units(self, *units: Unit) -> None:
        for unit in units:
            self.program.publisher_units(self.publisher, [unit], 0, EPOCH)

    def _heard(self, event: ProgramEvent) -> None:
        if isinstance(event, OpenWanted):
            now = 3 * SECOND  # longer than anything is waited for
            self.program.opened(self._publish, Numbers(0, 0, event.epoch_ns), now, EPOCH)

    def _publish(self, items: Iterable[Item]) -> None:
        self.items += items

    @property
    def companions(self) -> list[CompanionSample]:
        return [item for item in self.items if isinstance(item, CompanionSample)]


def test_it_is_on_the_programmes_clock_and_published_at_once() -> None:
    one = OneProgram([H264, AAC, OPUS])
    one.units(opus(0), video(0), opus(1))
    assert [(item.unit.pts, item.unit.dts) for item in one.companions] == [(0, 0), (960, 960)]
    assert [item.pdt_ns for item in one.companions] == [EPOCH, EPOCH + 20 * 10**6]
    # Audio of the other kind waits for the video clock; it does not.
    one.units(*(opus(n) for n in range(2, 10)))
    assert len(one.companions) == 10


def test_it_keeps_step_with_the_other_sound() -> None:
    one = OneProgram([H264, AAC, OPUS])
    offset = 123_456
    everything = [video(n) for n in range(90)]
    everything += [aac(n) for n in range(140)] + [opus(n) for n in range(150)]
    for unit in sorted(everything, key=lambda u: u.dts):
        one.units(replace(unit, pts=unit.pts + offset, dts=unit.dts + offset))
    sounds = [i for i in one.items if isinstance(i, Sample) and i.unit.track == AUDIO]
    stamped = [(i.unit.pts, i.mark.pdt_ns) for i in sounds]
    stamped += [(i.unit.pts, i.pdt_ns) for i in one.companions]
    assert all(pts * SECOND // 48_000 + EPOCH == pdt_ns for pts, pdt_ns in stamped)
    assert [item.unit.pts for item in one.companions] == [n * 960 for n in range(150)]


def test_packets_last_as_long_as_they_say() -> None:
    for ms in PACKET:
        one = OneProgram([H264, AAC, OPUS])
        one.units(video(0), *(opus(n, ms) for n in range(20)))
        steps = {b.unit.pts - a.unit.pts for a, b in pairwise(one.companions)}
        assert steps == {48 * ms}
        assert not one.program.totals()


def test_damaged_packets_are_left_out() -> None:
    one = OneProgram([H264, AAC, OPUS])
    one.units(video(0), opus(0), opus(1, damaged=True), opus(2))
    assert [item.unit.pts for item in one.companions] == [0, 1920]


def test_its_format_comes_before_its_samples_and_again_only_when_it_changes() -> None:
    one = OneProgram([H264, AAC, OPUS])
    one.units(video(0), opus(0))
    one.formats([H264, AAC, OPUS])
    one.formats([H264, AAC, MONO])
    one.units(opus(1))
    about = [
        item if isinstance(item, FormatChange) else "sample"
        for item in one.items
        if isinstance(item, CompanionSample)
        or (isinstance(item, FormatChange) and item.format.track == COMPANION)
    ]
    published = replace(OPUS, frame_duration=960)
    assert about == [
        FormatChange(published, 0),
        "sample",
        FormatChange(replace(published, channels=1), 1),
        "sample",
    ]


def test_one_that_comes_late_joins_without_a_new_beginning() -> None:
    one = OneProgram([H264, AAC])
    one.units(*(video(n) for n in range(31)))
    before = list(one.items)
    one.formats([H264, AAC, OPUS])
    assert one.items[len(before) :] == [FormatChange(replace(OPUS, frame_duration=960), 0)]
    one.units(opus(50), video(31))
    assert [item.unit.pts for item in one.companions] == [48_000]
    marks = [item.mark for item in one.items if isinstance(item, Sample)]
    assert {mark.discontinuity_seq for mark in marks} == {0}


def test_its_end_is_published_once() -> None:
    one = OneProgram([H264, AAC, OPUS])
    one.units(video(0), opus(0))
    one.connect(2, [H264, AAC])
    one.units(video(0), opus(0), video(1))
    one.formats([H264, AAC])
    assert [item for item in one.items if isinstance(item, CompanionEnd)] == [CompanionEnd()]
    assert len(one.companions) == 1


def test_it_never_goes_back_where_the_picture_begins_anew() -> None:
    one = OneProgram([H264, AAC, OPUS])
    one.units(video(0), *(opus(n) for n in range(60)))
    one.formats([replace(H264, config=b"larger"), AAC, OPUS])
    one.units(video(1, keyframe=True), *(opus(n) for n in range(60, 70)))
    times = [item.unit.pts for item in one.companions]
    assert times == sorted(times)
    assert len(set(times)) == len(times) > 60


def test_it_is_never_the_lead() -> None:
    one = OneProgram([OPUS])
    one.units(opus(0), opus(1))
    assert one.items == []
    one.formats([OPUS, AAC])
    one.units(aac(0), opus(2))
    one.program.poll(3 * SECOND, EPOCH)
    assert {item.unit.track for item in one.items if isinstance(item, Sample)} == {AUDIO}
    assert [item.unit.pts for item in one.companions] == [0, 960, 1920]


async def _package(*, companion: bool, jump: bool) -> tuple[OnAir, list[str]]:
    """Real media through programme and packager, with all that was recorded and listed."""
    source = coded("h264", "aac")
    formats = [*source.formats, *([OPUS] if companion else [])]
    units = [replace(u, ingest_ns=EPOCH) for u in source.units]
    in_90k = [
        u if u.track == VIDEO else replace(u, pts=u.pts * 15 // 8, dts=u.dts * 15 // 8)
        for u in units
    ]
    if companion:
        in_90k += [opus(n) for n in range(300)]
    in_90k.sort(key=lambda u: u.dts)
    if jump:  # the clock is set forward in the middle, as encoders do
        far = 100 * HZ
        in_90k = [
            replace(u, pts=u.pts + far, dts=u.dts + far) if u.dts >= 3 * HZ else u for u in in_90k
        ]
    one = OneProgram(formats)
    one.units(*in_90k)
    one.program.close("over", 0, EPOCH)
    origin = HlsOrigin()
    live = origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    on_air = OnAir(origin, ProgramStream(KEY, "k1"), live)
    on_air.stream.publish(one.items)
    await asyncio.wait_for(on_air.packager.run(), 30)
    lists = []
    for name in ("index.m3u8", "video.m3u8", "audio.m3u8"):
        reply = await respond(live, name)
        assert reply.status == 200
        lists.append(reply.body.decode())
    assert bool(one.companions) == companion
    return on_air, lists


async def test_recording_and_playlists_are_the_same_bytes_with_and_without_it() -> None:
    for jump in (False, True):
        bare, bare_lists = await _package(companion=False, jump=jump)
        beside, beside_lists = await _package(companion=True, jump=jump)
        assert beside.recorder == bare.recorder
        assert len(bare.recorder.segments) >= 6
        assert beside_lists == bare_lists
