"""PES to units: formats first, damage up to the next keyframe, times unwrapped."""

from hotpath.media.access_units import AacAssembler, VideoAssembler
from hotpath.media.clock import WRAP, Unwrapper
from hotpath.media.pes import Pes
from hotpath.media.psi import StreamEntry
from hotpath.media.unit import Codec, Unit
from tests.support import ts as build

ENTRY = StreamEntry(build.VIDEO_PID, build.H264)
SPS_NO_TIMING = build.plain_sps(640, 352)


def picture(data: bytes, pts: int, dts: int | None = None, *, damaged: bool = False) -> Pes:
    dts = pts if dts is None else dts
    return Pes(build.VIDEO_PID, pts % WRAP, dts % WRAP, data, damaged, 5)


def video() -> VideoAssembler:
    return VideoAssembler(ENTRY, Codec.H264, Unwrapper())


def feed(assembler: VideoAssembler, *packets: Pes) -> list[Unit]:
    return [unit for pes in packets for unit in assembler.receive(pes, 9)]


def test_nothing_leaves_before_the_first_keyframe() -> None:
    assembler = video()
    assert feed(assembler, picture(build.p_frame(), 0)) == []
    assert assembler.format is None
    (unit,) = feed(assembler, picture(build.idr(), 3000))
    assert unit.keyframe
    assert unit.data == build.idr()[len(build.AUD) :]
    assert (unit.ingest_ns, unit.demuxed_ns) == (5, 9)


def test_damage_lasts_up_to_the_next_whole_keyframe() -> None:
    assembler = video()
    frames = [
        picture(build.idr(), 0),
        picture(build.p_frame(), 1, damaged=True),
        picture(build.p_frame(), 2),
        picture(build.idr(), 3, damaged=True),
        picture(build.p_frame(), 4),
        picture(build.idr(), 5),
        picture(build.p_frame(), 6),
    ]
    marks = [u.damaged for u in feed(assembler, *frames)]
    assert marks == [False, True, True, True, True, False, False]


def test_a_torn_stream_is_damaged_though_its_next_unit_is_whole() -> None:
    assembler = video()
    feed(assembler, picture(build.idr(), 0))
    assembler.torn()
    assert [u.damaged for u in feed(assembler, picture(build.p_frame(), 1))] == [True]


def test_a_new_resolution_is_a_new_format() -> None:
    assembler = video()
    feed(assembler, picture(build.idr(), 0))
    first = assembler.format
    feed(assembler, picture(build.idr(), 3000))
    assert assembler.format is first
    feed(assembler, picture(build.idr(sps=build.SPS_SMALL), 6000))
    assert assembler.format is not None
    assert first is not None
    assert (first.height, assembler.format.height) == (360, 144)


def test_pts_and_dts_are_unwrapped_together() -> None:
    assembler = video()
    units = feed(
        assembler,
        picture(build.idr(), WRAP + 3000, WRAP - 3000),
        picture(build.p_frame(), WRAP + 6000, WRAP),
        picture(build.p_frame(), WRAP + 1000, WRAP + 3000),  # a broken muxer's PTS before DTS
    )
    assert [(u.pts, u.dts) for u in units] == [
        (WRAP + 3000, WRAP - 3000),
        (WRAP + 6000, WRAP),
        (WRAP + 1000, WRAP + 3000),
    ]


def test_without_timing_the_first_two_units_measure_the_frame_duration() -> None:
    assembler = video()
    idr = build.idr(sps=SPS_NO_TIMING)
    assert feed(assembler, picture(idr, 0)) == []
    units = feed(assembler, picture(build.p_frame(), 3600))
    assert [u.pts for u in units] == [0, 3600]
    assert assembler.format is not None
    assert assembler.format.frame_duration == 3600
    assert len(feed(assembler, picture(idr, 7200))) == 1


def test_a_unit_held_for_its_duration_is_flushed() -> None:
    assembler = video()
    feed(assembler, picture(build.idr(sps=SPS_NO_TIMING), 0))
    assert [u.pts for u in assembler.flush()] == [0]


def test_several_pictures_in_a_pes_are_taken_apart() -> None:
    assembler = video()
    units = feed(assembler, picture(build.idr() + build.p_frame() + build.p_frame(50), 9000))
    assert [(u.pts, u.keyframe) for u in units] == [(9000, True), (12000, False), (15000, False)]
    assert units[2].data == build.p_frame(50)[len(build.AUD) :]


def test_b_frames_are_noticed_by_their_order() -> None:
    assembler = video()
    feed(assembler, picture(build.idr(), 3000, 0), picture(build.p_frame(), 12000, 3000))
    assert not assembler.facts.b_frames
    feed(assembler, picture(build.p_frame(), 6000, 6000))
    assert assembler.facts.b_frames


def test_audio_frames_count_from_the_pts_without_drift() -> None:
    assembler = AacAssembler(StreamEntry(1, build.AAC), Unwrapper())
    data = build.adts([b"x" * 40] * 4, rate_index=4)
    units = assembler.receive(Pes(1, WRAP - 2000, None, data, False, 5), 9)
    assert [u.pts for u in units] == [WRAP - 2000 + d for d in (0, 2090, 4180, 6269)]
    assert assembler.format is not None
    assert (assembler.format.timescale, assembler.format.frame_duration) == (44100, 1024)
