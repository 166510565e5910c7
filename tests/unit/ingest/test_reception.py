"""RFC 3550's receiver statistics."""

from hotpath.ingest.reception import Reception
from hotpath.webrtc.rtcp import SenderReport

MS = 1_000_000


def received(*sequences: int) -> Reception:
    reception = Reception(7, 90_000)
    for n, sequence in enumerate(sequences):
        reception.receive(sequence, 3000 * n, 33 * MS * n)
    return reception


def test_losses_are_counted_across_the_wrap() -> None:
    reception = received(65_534, 65_535, 1, 2)
    assert (reception.expected, reception.received, reception.lost) == (5, 4, 1)
    report = reception.report(1, 0)
    assert (report.ssrc, report.reporter, report.lost) == (7, 1, 1)
    assert report.fraction_lost == 256 // 5
    assert report.highest_sequence == 65_536 + 2


def test_a_fraction_is_of_the_time_since_the_last_report() -> None:
    reception = received(1, 2, 4)
    reception.report(1, 0)
    reception.receive(5, 0, 0)
    assert reception.report(1, 0).fraction_lost == 0
    assert reception.report(1, 0).lost == 1


def test_what_comes_late_or_again_is_not_lost() -> None:
    reception = received(1, 2, 4)
    reception.receive_repaired(3)
    assert reception.lost == 0
    assert received(1, 3, 2).lost == 0


def test_jitter_is_zero_for_an_even_stream_and_grows_with_unevenness() -> None:
    even, uneven = Reception(1, 90_000), Reception(1, 90_000)
    for n in range(100):
        even.receive(n, 900 * n, 10 * MS * n)
        uneven.receive(n, 900 * n, 10 * MS * n + (5 * MS if n % 2 else 0))
    assert even.report(1, 0).jitter == 0
    assert 4.0 < uneven.jitter_ms < 5.1


def test_the_report_names_the_sender_report_it_follows() -> None:
    reception = received(1)
    assert reception.report(1, 0).last_sr == reception.report(1, 0).delay_since_sr == 0
    reception.receive_report(SenderReport(7, 0x1122_3344_5566_7788, 0, 0, 0), 1_000 * MS)
    report = reception.report(1, 1_500 * MS)
    assert report.last_sr == 0x3344_5566
    assert report.delay_since_sr == 32_768


def test_a_queue_delays_every_packet_a_large_frame_only_its_own() -> None:
    reception = Reception(1, 90_000)

    def frames(first: int, late_ms: int) -> float:
        for n in range(first, first + 30):
            for packet in range(5):
                at = 33 * MS * n + (late_ms + 20 * packet) * MS
                reception.receive(5 * n + packet, 2970 * n, at)
        return reception.take_queue_ms()

    assert frames(0, 0) == 0
    assert frames(30, 0) == 0
    assert round(frames(60, 150)) == 150
    assert round(frames(90, 90)) == 90
    assert frames(120, 0) == 0
    assert reception.take_queue_ms() == 0
    # A longer route is a queue at first, and after a while simply the route.
    assert [frames(150 + 30 * n, 100) > 1 for n in range(25)].count(True) == 19
