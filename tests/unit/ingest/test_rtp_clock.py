"""Two RTP clocks with random offsets become one."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.rtp_clock import TrackClock
from hotpath.webrtc.rtcp import SenderReport
from hotpath.webrtc.rtp import ntp_of

MS = 1_000_000
WALL_NS = 1_790_000_000_000_000_000


class Publisher:
    """Captures a frame of a track at a moment and delivers it some time later."""

    def __init__(self, audio_late_ms: int = 0, video_late_ms: int = 0) -> None:
        self.audio = TrackClock(48_000)
        self.video = TrackClock(90_000, self.audio)
        self.late = {"audio": audio_late_ms, "video": video_late_ms}
        self.offset = {"audio": 0xFFFFFF00, "video": 12345}
        self.hz = {"audio": 48_000, "video": 90_000}

    def rtp(self, track: str, at_ms: int) -> int:
        return (self.offset[track] + at_ms * self.hz[track] // 1000) & 0xFFFFFFFF

    def ticks(self, track: str, at_ms: int) -> int:
        clock = self.audio if track == "audio" else self.video
        return clock.ticks(self.rtp(track, at_ms), (at_ms + self.late[track]) * MS)

    def report(self, track: str, at_ms: int, off_ms: int = 0) -> None:
        clock = self.audio if track == "audio" else self.video
        ntp = ntp_of(WALL_NS + (at_ms + off_ms) * MS)
        clock.receive_report(SenderReport(1, ntp, self.rtp(track, at_ms), 0, 0))

    def run(self, begin_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """(audio, video) ticks every 40 ms."""
        return [
            (self.ticks("audio", at), self.ticks("video", at)) for at in range(begin_ms, end_ms, 40)
        ]


def test_the_first_packet_is_placed_by_its_arrival() -> None:
    publisher = Publisher(audio_late_ms=10, video_late_ms=50)
    assert publisher.ticks("audio", 1000) == 1010 * 90
    assert publisher.ticks("video", 1000) == 1050 * 90
    assert publisher.ticks("audio", 1020) == 1030 * 90  # across the 32-bit wrap


def test_rfc3550_6_4_1_reports_lead_the_picture_to_its_sound_without_a_jump() -> None:
    publisher = Publisher(audio_late_ms=10, video_late_ms=90)
    before = publisher.run(0, 400)
    publisher.report("audio", 380)
    publisher.report("video", 390)
    after = publisher.run(400, 4000)
    steps = [b[1] - a[1] for a, b in zip([before[-1], *after], after, strict=False)]
    assert min(steps) >= 3600 - 3600 // 20
    assert [b[0] - a[0] for a, b in pairwise(after)] == [3600] * 89
    assert abs(after[-1][1] - after[-1][0]) <= 90
    assert abs(publisher.video.corrected + 80 * 90) <= 90


def test_a_report_that_comes_before_the_first_packet_is_used() -> None:
    publisher = Publisher(audio_late_ms=0, video_late_ms=60)
    publisher.report("audio", 0)
    publisher.report("video", 0)
    audio, video = publisher.run(0, 3000)[-1]
    assert abs(video - audio) <= 90


def test_reports_that_contradict_the_arrival_are_not_believed() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    publisher.report("audio", 380)
    publisher.report("video", 390, off_ms=60_000)
    publisher.run(400, 2000)
    assert publisher.video.corrected == 0


def test_small_errors_of_reports_move_nothing() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    for at in range(400, 4000, 400):
        publisher.report("audio", at)
        publisher.report("video", at, off_ms=at // 400 % 3 * 4)
        publisher.run(at, at + 400)
    assert publisher.video.corrected == 0


def test_reports_that_a_busy_sender_dates_too_late_move_little() -> None:
    publisher, chance = Publisher(), Random(3)
    publisher.run(0, 400)
    for at in range(400, 40_000, 800):
        publisher.report("audio", at, off_ms=chance.choice((0, 0, 0, 15)))
        publisher.report("video", at, off_ms=chance.choice((0, 0, 30, 60)))
        publisher.run(at, at + 800)
    assert abs(publisher.video.corrected) <= 15 * 90


def test_rfc3550_6_4_1_a_report_of_a_sender_without_a_clock_says_nothing() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    for at in range(400, 4000, 400):
        for track, clock in (("audio", publisher.audio), ("video", publisher.video)):
            then = at - (300 if track == "audio" else 0)
            clock.receive_report(SenderReport(1, 0, publisher.rtp(track, then), 0, 0))
        publisher.run(at, at + 400)
    assert publisher.video.corrected == 0


def test_sound_that_did_not_count_while_it_was_paused_is_put_in_its_place() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    publisher.report("audio", 380)
    publisher.report("video", 390)
    publisher.run(400, 1000)
    publisher.offset["audio"] -= 1500 * 48
    ticks = publisher.ticks("audio", 2500)
    assert ticks == 1000 * 90
    publisher.report("audio", 2600)
    publisher.report("video", 2600)
    assert publisher.ticks("audio", 2620) == 1120 * 90  # once may be a mistake
    publisher.report("audio", 3400)
    publisher.report("video", 3400)
    after = publisher.run(3480, 4000)
    assert all(abs(audio - video) <= 90 for audio, video in after)
    assert publisher.video.corrected == 0


def test_the_picture_follows_a_drifting_clock() -> None:
    publisher = Publisher()
    for at in range(0, 60_000, 1000):
        publisher.run(at, at + 1000)
        publisher.report("audio", at)
        publisher.report("video", at, off_ms=at // 1000)  # 1 ms a second
    assert 45 * 90 < publisher.video.corrected < 60 * 90


def test_timestamps_that_jump_against_their_arrival_are_placed_again() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    publisher.offset["video"] += 10_000_000
    after = publisher.run(400, 800)
    assert all(audio == video for audio, video in after)


def test_a_pause_in_real_time_is_a_pause_in_ticks() -> None:
    publisher = Publisher()
    (first, _), *_ = publisher.run(0, 40)
    assert publisher.ticks("audio", 30_000) - first == 30_000 * 90


def test_another_source_starts_by_its_arrival() -> None:
    publisher = Publisher()
    publisher.run(0, 400)
    publisher.video.restart()
    publisher.offset["video"] = 999
    assert publisher.ticks("video", 400) == 400 * 90


def test_another_source_is_beside_the_sound_where_the_one_before_was() -> None:
    publisher = Publisher(video_late_ms=200)
    publisher.report("audio", 0)
    publisher.report("video", 0)
    publisher.run(0, 8000)
    publisher.video.restart()
    publisher.offset["video"] = 999
    assert abs(publisher.ticks("video", 8000) - 8000 * 90) <= 90


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 5000),
            st.integers(0, (1 << 64) - 1),
        ),
        max_size=60,
    )
)
def test_any_timestamps_and_reports_stay_near_their_arrival(
    steps: list[tuple[bool, int, int, int]],
) -> None:
    audio = TrackClock(48_000)
    video = TrackClock(90_000, audio)
    now = 0
    for sound, timestamp, wait_ms, ntp in steps:
        clock = audio if sound else video
        clock.receive_report(SenderReport(1, ntp, timestamp ^ 0xFF, 0, 0))
        now += wait_ms * MS
        ticks = clock.ticks(timestamp, now)
        # Each step may part from the arrival by the jump that is still one clock.
        assert abs(ticks - now * 90 // MS) <= (len(steps) + 1) * 3 * 90_000
