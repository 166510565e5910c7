"""A programme on the air whose publisher a test takes away, and what its slate must keep to."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hotpath.media.unit import VIDEO, Format, Unit
from hotpath.program.options import SECOND
from hotpath.program.states import ProgramState
from tests.support.pictures import encoded
from tests.support.programme import AAC as NAMED
from tests.support.programme import HZ, Harness, Part, media

SOURCE = encoded("h264-cabac")
KEY = SOURCE.units[0].data
PICTURE = replace(SOURCE.format, frame_duration=3000)
AAC = replace(NAMED, config=b"\x11\x90")
PART = 215 * SECOND // 1000
FORMATS = (PICTURE, AAC)


def coded(seconds: float, start: float = 0, *, gop: int = 30, audio: bool = True) -> list[Unit]:
    return media(seconds, start, gop=gop, audio=audio, data=KEY)


def on_air(formats: Sequence[Format] = FORMATS, *, seconds: float = 3, **options: int) -> Harness:
    """A programme with a publisher that has sent for so long."""
    harness = Harness(**options)
    harness.connect(formats=formats)
    tracks = {format.track for format in formats}
    harness.send(unit for unit in coded(seconds) if unit.track in tracks)
    assert harness.program.state is ProgramState.LIVE
    return harness


def slate_of(harness: Harness, track: str = VIDEO) -> list[Part]:
    return [part for part in harness.parts(track) if part.slate]


def check_cadence(parts: Sequence[Part], *, within: int = PART) -> None:
    """Each within one part target of the one before, and of a legal length."""
    for before, after in pairwise(parts):
        assert after.at - before.at <= within
    for part in parts:
        seconds = (part.end - part.start) / part.timescale
        assert seconds <= 0.215
        assert part.last or seconds >= 0.85 * 0.215


def check_continuous(parts: Sequence[Part]) -> None:
    """One part after the other; a discontinuity may come with the length of a frame of sound."""
    for before, after in pairwise(parts):
        cut = before.discontinuity_seq != after.discontinuity_seq
        assert 0 <= after.start - before.end <= (1024 * HZ // 48_000 if cut else 0)
