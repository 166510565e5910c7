"""Publishers' clocks in, the programme's clock out."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit
from hotpath.program.timeline import CLOCK_HZ, Stretch, Timeline, lead_of, programme_format

MS = 90
NS = 1_000_000_000
H264 = Format(VIDEO, Codec.H264, CLOCK_HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
AAC = Format(
    AUDIO,
    Codec.AAC,
    48_000,
    b"asc",
    "mp4a.40.2",
    sample_rate=48_000,
    channels=2,
    frame_duration=1024,
)
GERMAN = replace(AAC, track="audio-2")


def video(raw: int, at_ns: int, *, keyframe: bool = False, damaged: bool = False) -> Unit:
    return Unit(VIDEO, raw, raw, keyframe, b"v", at_ns, at_ns, damaged=damaged)


def audio(raw: int, at_ns: int) -> Unit:
    return Unit(AUDIO, raw, raw, True, b"a", at_ns, at_ns)


def source(
    raw: int, at_ns: int, seconds: float, *, gop: int = 30, rate: int = 48_000
) -> Iterable[Unit]:
    """30 fps video and AAC, interleaved by time, in a publisher's clock that starts at `raw`."""
    frames = [(n * 3000, VIDEO, n) for n in range(int(seconds * 30))]
    sounds = [
        (round(n * 1024 * CLOCK_HZ / rate), AUDIO, n) for n in range(int(seconds * rate / 1024))
    ]
    for offset, track, number in sorted(frames + sounds):
        at = at_ns + offset * NS // CLOCK_HZ
        if track == VIDEO:
            yield video(raw + offset, at, keyframe=number % gop == 0)
        else:
            yield audio(raw + offset, at)


def feed(timeline: Timeline, units: Iterable[Unit]) -> list[Unit | Stretch]:
    return [out for unit in units for out in timeline.receive(unit)]


def started(epoch_ns: int | None = None) -> Timeline:
    timeline = Timeline(epoch_ns)
    timeline.begin([H264, AAC], same_clock=False)
    return timeline


def on(track: str, out: Iterable[Unit | Stretch]) -> list[Unit]:
    return [unit for unit in out if isinstance(unit, Unit) and unit.track == track]


def stretches(out: Iterable[Unit | Stretch]) -> list[int]:
    return [step.start for step in out if isinstance(step, Stretch)]


def test_the_programme_starts_at_zero_with_the_first_keyframe() -> None:
    timeline = started()
    out = feed(timeline, [video(500, 7 * NS), video(3500, 8 * NS, keyframe=True)])
    assert out == [Stretch(0), video(0, 8 * NS, keyframe=True)]
    assert timeline.epoch_ns == 8 * NS


def test_audio_before_the_keyframe_is_left_out_and_after_it_kept() -> None:
    timeline = started()
    early = [audio(raw, NS) for raw in (0, 1920, 3840, 5760)]
    out = feed(timeline, [*early, video(3840, NS, keyframe=True)])
    assert [unit.dts for unit in on(AUDIO, out)] == [0, 1024]
    assert isinstance(out[0], Stretch)


def test_audio_is_counted_in_whole_frames() -> None:
    out = on(AUDIO, feed(started(), source(12_345, NS, 60, rate=48_000)))
    assert [b.dts - a.dts for a, b in pairwise(out)] == [1024] * (len(out) - 1)


def test_44100_hz_audio_does_not_drift_from_its_timestamps() -> None:
    aac = Format(
        AUDIO, Codec.AAC, 44_100, b"asc", "mp4a.40.2", sample_rate=44_100, frame_duration=1024
    )
    timeline = Timeline()
    timeline.begin([H264, aac], same_clock=False)
    units = list(source(0, NS, 120, rate=44_100))
    out = on(AUDIO, feed(timeline, units))
    last = [unit for unit in units if unit.track == AUDIO][-1]
    assert len(out) == len([unit for unit in units if unit.track == AUDIO])
    assert abs(out[-1].dts / 44_100 - last.dts / CLOCK_HZ) < 0.001


def test_lost_audio_frames_leave_a_hole_and_sync_is_kept() -> None:
    units = list(source(0, NS, 4))
    kept = [u for u in units if not (u.track == AUDIO and CLOCK_HZ <= u.dts < CLOCK_HZ * 3 // 2)]
    timeline = started()
    out = on(AUDIO, feed(timeline, kept))
    originals = [unit for unit in kept if unit.track == AUDIO]
    for mapped, original in zip(out, originals, strict=True):
        assert abs(mapped.dts * CLOCK_HZ // 48_000 - original.dts) <= 1024 * CLOCK_HZ // 48_000
    assert timeline.counts["audio-resync"] == 1


def test_a_reconnect_continues_by_the_wall_clock() -> None:
    timeline = started()
    feed(timeline, source(900_000, 100 * NS, 2))
    timeline.begin([H264, AAC], same_clock=False)
    out = feed(timeline, source(5, 110 * NS, 2))
    assert stretches(out) == [10 * CLOCK_HZ]
    assert on(VIDEO, out)[0].dts == 10 * CLOCK_HZ
    assert abs(on(AUDIO, out)[0].dts - 10 * 48_000) <= 1024


def test_a_restarted_node_continues_by_the_wall_clock() -> None:
    timeline = started(epoch_ns=100 * NS)
    assert stretches(feed(timeline, source(77, 160 * NS, 1))) == [60 * CLOCK_HZ]


def test_a_burst_after_a_reconnect_never_overlaps_what_was_published() -> None:
    timeline = started()
    feed(timeline, source(0, 100 * NS, 5))
    timeline.begin([H264, AAC], same_clock=False)
    before = timeline.end
    out = feed(timeline, source(0, 101 * NS, 1))  # the wall clock says 1 s, media is at 5 s
    assert stretches(out) == [before]


def test_a_clock_reset_starts_a_stretch_and_keeps_sync() -> None:
    timeline = started()
    feed(timeline, source(9_000_000, 100 * NS, 3))
    out = feed(timeline, source(0, 103 * NS, 3))
    assert len(stretches(out)) == 1
    pictures, sounds = on(VIDEO, out), on(AUDIO, out)
    assert len(pictures) == 90
    assert len(sounds) >= 139
    offset = pictures[0].dts
    for unit in sounds[:5]:
        raw = unit.ingest_ns - 103 * NS
        assert abs((unit.dts / 48_000 - offset / CLOCK_HZ) - raw / NS) < 0.025


def test_audio_whose_clock_resets_first_waits_for_the_picture() -> None:
    timeline = started()
    feed(timeline, source(9_000_000, 100 * NS, 3))
    early = [audio(raw, 103 * NS) for raw in (0, 1920, 3840)]
    assert feed(timeline, early) == []
    out = feed(timeline, [video(0, 103 * NS, keyframe=True)])
    assert len(on(AUDIO, out)) == 3


def test_a_jump_forward_without_keyframe_waits_for_one() -> None:
    timeline = started()
    feed(timeline, source(0, 100 * NS, 2))
    jump = 30 * CLOCK_HZ
    assert feed(timeline, [video(jump, 102 * NS), video(jump + 3000, 102 * NS)]) == []
    out = feed(timeline, [video(jump + 6000, 102 * NS, keyframe=True)])
    assert len(stretches(out)) == 1


def test_lost_video_with_audio_going_on_is_a_hole_not_a_jump() -> None:
    units = [
        u
        for u in source(0, 100 * NS, 6, gop=15)
        if u.track == AUDIO or not 60 <= u.dts // 3000 < 105
    ]
    out = feed(started(), units)
    assert stretches(out) == [0]
    assert len(on(VIDEO, out)) == 135


def test_sound_that_runs_away_from_the_picture_and_the_wall_clock_is_left_out() -> None:
    """As from an encoder whose picture has ended and whose sound is a file."""
    timeline = started()
    feed(timeline, source(0, NS, 4))
    sound = [audio(4 * CLOCK_HZ + n * 1920, 5 * NS + n * NS // 1000) for n in range(600)]
    out = on(AUDIO, feed(timeline, sound))
    assert 1.3 < len(out) * 1024 / 48_000 < 2.2
    assert timeline.counts["other-clock"] == 600 - len(out)


def test_sound_goes_on_without_a_picture_though_both_were_ahead_of_the_wall_clock() -> None:
    def came(unit: Unit) -> int:
        """The first four seconds in two, then as they last."""
        return NS + (unit.dts - min(unit.dts, 4 * CLOCK_HZ) // 2) * NS // CLOCK_HZ

    units = [replace(unit, ingest_ns=came(unit)) for unit in source(0, NS, 12)]
    kept = [unit for unit in units if unit.track == AUDIO or unit.dts < 4 * CLOCK_HZ]
    sounds = [unit for unit in kept if unit.track == AUDIO]
    assert len(on(AUDIO, feed(started(), kept))) == len(sounds)


def test_a_format_change_of_one_publisher_keeps_its_clock() -> None:
    timeline = started()
    units = list(source(0, 100 * NS, 4))
    half = [unit for unit in units if unit.dts < 2 * CLOCK_HZ]
    feed(timeline, half)
    timeline.begin([H264, AAC], same_clock=True)
    out = feed(timeline, units[len(half) :])
    assert stretches(out) == [2 * CLOCK_HZ]
    assert len(on(VIDEO, out)) == 60
    assert len(on(AUDIO, out)) >= 93


def test_audio_only_follows_its_own_clock() -> None:
    timeline = Timeline()
    timeline.begin([AAC], same_clock=False)
    out = feed(timeline, (unit for unit in source(777, NS, 3) if unit.track == AUDIO))
    assert stretches(out) == [0]
    assert [unit.dts for unit in on(AUDIO, out)] == [n * 1024 for n in range(140)]


def test_sounds_of_one_source_keep_their_distance() -> None:
    timeline = Timeline()
    timeline.begin([H264, GERMAN, AAC], same_clock=False)
    units = [
        each
        for unit in source(777, NS, 3)
        for each in ((unit,) if unit.track == VIDEO else (unit, replace(unit, track=GERMAN.track)))
    ]
    out = feed(timeline, units)
    assert [u.dts for u in on(GERMAN.track, out)] == [u.dts for u in on(AUDIO, out)] != []


def test_the_first_sound_leads_whatever_the_order_of_formats() -> None:
    assert lead_of([GERMAN, AAC]) == AUDIO
    assert lead_of([GERMAN, AAC, H264]) == VIDEO
    assert lead_of([]) is None


def test_what_was_held_of_a_sound_that_is_gone_is_forgotten() -> None:
    timeline = Timeline()
    timeline.begin([H264, AAC, GERMAN], same_clock=False)
    assert feed(timeline, [audio(0, NS), replace(audio(0, NS), track=GERMAN.track)]) == []
    timeline.remove(GERMAN.track)
    out = feed(timeline, [video(0, NS, keyframe=True)])
    assert [unit.track for unit in out if isinstance(unit, Unit)] == [VIDEO, AUDIO]


def test_an_undeclared_frame_duration_becomes_the_codecs_own() -> None:
    edge = Format(AUDIO, Codec.AAC, 44_100, b"asc", "mp4a.40.2", sample_rate=44_100)
    assert programme_format(edge).frame_duration == 1024
    opus = Format(AUDIO, Codec.OPUS, 48_000, b"head", "opus", sample_rate=48_000)
    assert programme_format(opus).frame_duration == 960


raws = st.integers(-(10**6), 2**33)
steps = st.lists(
    st.tuples(
        st.sampled_from([VIDEO, VIDEO, AUDIO, GERMAN.track]),
        st.one_of(st.integers(-200_000, 200_000), st.integers(1000, 4000), raws),
        st.booleans(),
        st.integers(0, NS),
    ),
    max_size=200,
)


@given(steps)
def test_no_clock_ever_maps_before_its_stretch(
    moves: list[tuple[str, int, bool, int]],
) -> None:
    timeline = Timeline()
    timeline.begin([H264, AAC, GERMAN], same_clock=False)
    clock = {VIDEO: 0, AUDIO: 0, GERMAN.track: 0}
    at = NS
    start = 0
    last = {AUDIO: -1, GERMAN.track: -1}
    jitter = CLOCK_HZ // 10
    for track, step, keyframe, passed in moves:
        clock[track] += step
        at += passed
        unit = (
            video(clock[track], at, keyframe=keyframe)
            if track == VIDEO
            else replace(audio(clock[track], at), track=track)
        )
        for out in timeline.receive(unit):
            if isinstance(out, Stretch):
                assert out.start >= start
                start = out.start
                continue
            rate = CLOCK_HZ if out.track == VIDEO else 48_000
            assert out.dts * CLOCK_HZ >= (start - jitter) * rate
            if out.track != VIDEO:
                assert out.dts > last[out.track]
                last[out.track] = out.dts
