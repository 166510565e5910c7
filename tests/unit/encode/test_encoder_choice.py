"""Which H.264 encoder a process uses when NVENC is there and then is not."""

import errno
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from threading import Barrier, Thread
from typing import Any

import pytest
from av.error import ExternalError, FFmpegError
from av.video.frame import VideoFrame

from hotpath.encode import h264, ladder_calibrate, ladder_pictures, picture
from hotpath.encode.h264 import NVENC, NVENC_REFUSED, X264, Choice, H264Encoder
from hotpath.encode.job import EncodeSettings, Job
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_pictures import LadderPictures
from hotpath.encode.ladder_records import ENCODED, Encoded, Fed
from hotpath.encode.picture import PictureBridge
from hotpath.media.unit import VIDEO, Codec, Format, Unit
from infra.renditions import RUNGS

SIZE, FPS, CLOCK, PICTURES = (640, 480), 30, 90_000, 4
REFUSALS = [
    ExternalError(errno.EINVAL, "OpenEncodeSessionEx failed: out of memory (10)"),
    ValueError("Cannot load libcuda.so.1"),
]


class Card:
    """A card that takes the small picture of the first try, and no picture of a programme."""

    def __init__(self, refusal: Exception) -> None:
        self.refusal = refusal
        self.asked: list[str] = []

    def __call__(self, name: str, width: int, height: int, **settings: Any) -> H264Encoder:
        self.asked.append(name)
        if name == NVENC:
            raise self.refusal
        return H264Encoder(name, width, height, **settings)


@pytest.fixture(params=REFUSALS, ids=["no-session", "no-driver"])
def card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Card:
    found, choice = Card(request.param), Choice(lambda: True)
    for module in (picture, ladder_pictures, ladder_calibrate):
        monkeypatch.setattr(module, "H264Encoder", found)
        monkeypatch.setattr(module, "CHOICE", choice)
    return found


def source() -> tuple[Format, list[Unit]]:
    """A few grey pictures as a publisher would send them."""
    encoder = H264Encoder(
        X264, *SIZE, clock=CLOCK, fps=FPS, bitrate=500_000, cap=500_000, threads=1
    )
    units = []
    for number in range(PICTURES):
        frame = VideoFrame(*SIZE, "yuv420p")
        frame.pts, frame.time_base = number * CLOCK // FPS, Fraction(1, CLOCK)
        units += [
            Unit(VIDEO, p.pts, p.pts, p.is_keyframe, bytes(p), 1, 1)
            for p in encoder.encode(frame, keyframe=not number)
        ]
    return Format(VIDEO, Codec.H264, CLOCK, b"", "avc1.42c01f", *SIZE), units


def bridged(job: Job, units: list[Unit], counts: Counter[str]) -> Iterator[Unit]:
    bridge = PictureBridge(job, counts)
    for unit in units:
        yield from (o for o in bridge.receive(unit, lambda: False) if isinstance(o, Unit))
    yield from (o for o in bridge.flush() if isinstance(o, Unit))


def test_a_bridge_goes_on_with_libx264_where_the_card_refuses_its_picture(card: Card) -> None:
    format, units = source()
    counts: Counter[str] = Counter()
    job = Job(format, Codec.H264, CLOCK, CLOCK, EncodeSettings(threads=1))
    assert [unit.pts for unit in bridged(job, units, counts)] == [unit.pts for unit in units]
    assert +counts == {NVENC_REFUSED: 1}
    # Another picture size, and whoever else encodes in this process, does not ask again.
    list(bridged(job, units, counts))
    assert card.asked == [NVENC, X264, X264]
    assert +counts == {NVENC_REFUSED: 1}


def test_every_rung_of_a_ladder_goes_on_and_it_is_said_once(card: Card) -> None:
    format, units = source()
    counts: Counter[str] = Counter()
    rungs = (RUNGS["360p"], RUNGS["240p"])
    ladder = LadderPictures(LadderJob(format, rungs, 2.0), rungs, counts)
    made = [out for unit in units for out in ladder.receive(Fed(unit), lambda: False)]
    made += ladder.flush()
    for rung in rungs:
        pictures = [o.unit.pts for o in made if isinstance(o, Encoded) and o.rung == rung.name]
        assert pictures == [unit.pts for unit in units]
    assert +counts == {NVENC_REFUSED: 1, ENCODED: PICTURES}


def test_the_calibration_measures_the_encoder_that_is_left(card: Card) -> None:
    counts: Counter[str] = Counter()
    assert ladder_calibrate.speed(counts) > 0
    assert card.asked == [NVENC, X264]
    assert +counts == {NVENC_REFUSED: 1}


def test_threads_that_are_refused_together_say_so_once() -> None:
    choice, counts, met = Choice(lambda: True), Counter[str](), Barrier(3)

    def make(name: str) -> Any:
        if name == NVENC:
            met.wait(10)
            raise REFUSALS[0]
        return name

    threads = [Thread(target=choice.open, args=(make, counts)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert +counts == {NVENC_REFUSED: 1}
    assert choice.name == X264


def test_a_card_that_works_is_used_and_tried_once() -> None:
    tries: list[None] = []
    choice, counts = Choice(lambda: not tries.append(None)), Counter[str]()
    opened = [choice.open(lambda name: name, counts) for _ in range(2)]
    assert opened == [NVENC, NVENC]
    assert len(tries) == 1
    assert not counts


def test_a_machine_without_a_card_has_refused_nothing() -> None:
    choice, counts = Choice(lambda: False), Counter[str]()
    assert choice.open(lambda name: name, counts) == X264
    assert not counts


def test_what_libx264_says_is_not_swallowed() -> None:
    def make(name: str) -> Any:
        raise REFUSALS[0]

    with pytest.raises(FFmpegError):
        h264.Choice(lambda: True).open(make, Counter())
