"""Units into a `MarkWriter`, and what it made of them: samples, parts, segments, by track."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Item, PartCut, Sample, SegmentCut, Unit
from hotpath.program.marks import MarkWriter

HZ = 90_000
RATE = 48_000
PART = 0.215
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360)
AAC = Format(
    AUDIO, Codec.AAC, RATE, b"asc", "mp4a.40.2", sample_rate=RATE, channels=2, frame_duration=1024
)
GERMAN = replace(AAC, track="audio-2", timescale=44_100, sample_rate=44_100, language="de")
SCALE = {VIDEO: HZ, AUDIO: RATE, GERMAN.track: GERMAN.timescale}
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


def video(
    dts: int, *, keyframe: bool = False, pts: int | None = None, damaged: bool = False
) -> Unit:
    shown = dts if pts is None else pts
    return Unit(VIDEO, shown, dts, keyframe, b"v", 0, 0, damaged=damaged)


def audio(dts: int) -> Unit:
    return Unit(AUDIO, dts, dts, True, b"a", 0, 0)


def pictures(fps: Fraction | int, seconds: float, gop: int, start: int = 0) -> list[Unit]:
    count = int(seconds * fps)
    return [video(start + round(n * HZ / fps), keyframe=n % gop == 0) for n in range(count)]


def sounds(seconds: float, start: int = 0) -> list[Unit]:
    return [audio(start + n * 1024) for n in range(int(seconds * RATE / 1024))]


def interleaved(*tracks: Sequence[Unit]) -> list[Unit]:
    units = [unit for track in tracks for unit in track]
    return sorted(units, key=lambda unit: Fraction(unit.dts, SCALE[unit.track]))


def writer(**options: int) -> MarkWriter:
    return MarkWriter(epoch_ns=1_000, **options)


def run(marks: MarkWriter, units: Iterable[Unit]) -> list[Item]:
    return [item for unit in units for item in marks.write(unit, 0)]


def record(
    units: Iterable[Unit], formats: Sequence[Format] = (H264, AAC), **options: int
) -> list[Item]:
    marks = writer(**options)
    return [*marks.begin(formats, 0), *run(marks, units), *marks.end(0, final=True)]


def samples(items: Iterable[Item], track: str) -> list[Sample]:
    return [item for item in items if isinstance(item, Sample) and item.unit.track == track]


def segments(items: Iterable[Item], track: str) -> list[SegmentCut]:
    return [item for item in items if isinstance(item, SegmentCut) and item.track == track]


def parts(items: Iterable[Item], track: str) -> list[tuple[float, bool]]:
    """(duration in seconds, whether it is the last of its segment) of every part."""
    found: list[tuple[float, bool]] = []
    start: int | None = None
    for item in items:
        match item:
            case Sample(unit=unit) if unit.track == track:
                start = unit.dts if start is None else start
            case PartCut(track=name, end=end) if name == track and start is not None:
                found.append(((end - start) / SCALE[track], False))
                start = None
            case SegmentCut(track=name, end=end) if name == track:
                if start is not None:
                    found.append(((end - start) / SCALE[track], True))
                elif found:
                    found[-1] = (found[-1][0], True)
                start = None
            case _:
                pass
    return found


def check_structure(items: Sequence[Item]) -> None:
    """What must hold for any input: order, tiling, one part and segment per unit."""
    for track in SCALE:
        last = (-1, -1, -1)
        last_dts, floor = None, None
        open_msn, open_part = None, None
        for item in items:
            match item:
                case Sample(unit=unit, mark=mark) if unit.track == track:
                    assert mark.part == 0 if open_msn != mark.msn else mark.part >= open_part
                    position = (mark.msn, mark.part, unit.dts)
                    assert position > last
                    assert last_dts is None or unit.dts > last_dts
                    assert floor is None or unit.dts >= floor
                    assert unit.pts >= unit.dts
                    last, last_dts = position, unit.dts
                    open_msn, open_part = mark.msn, mark.part
                case PartCut(track=name, msn=msn, part=part, end=end) if name == track:
                    assert (msn, part) == last[:2]
                    assert last_dts is not None
                    assert end > last_dts
                    floor = end
                    open_part = part + 1
                case SegmentCut(track=name, msn=msn, start=start, end=end, gap=gap) if (
                    name == track
                ):
                    assert end > start
                    assert gap == (msn != last[0])
                    assert gap or (last_dts is not None and end > last_dts)
                    last = (msn, 10**9, last[2])
                    floor, open_msn = end, None
                case _:
                    pass
        numbers = [cut.msn for cut in segments(items, track)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        marked = {item.mark.msn for item in samples(items, track)}
        assert marked == {cut.msn for cut in segments(items, track) if not cut.gap}


def german(seconds: float) -> list[Unit]:
    return [
        Unit(GERMAN.track, n * 1024, n * 1024, True, b"g", 0, 0)
        for n in range(int(seconds * GERMAN.timescale / 1024))
    ]
