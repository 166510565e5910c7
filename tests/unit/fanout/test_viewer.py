"""One viewer's session: what its reports do, and that everything is given up once."""

import pytest

from hotpath.fanout.choice import SECOND
from hotpath.fanout.viewer import MAX_NACKED, REPORTS_AT_ONCE, REPORTS_PER_S
from hotpath.webrtc.path import Path
from hotpath.webrtc.rtcp import (
    ReceptionReport,
    build_fir,
    build_nack,
    build_pli,
    build_receiver_report,
    build_remb,
)
from tests.support.viewer_session import AUDIO, KEYS, PATH, RTX, VIDEO, Rig


@pytest.fixture
def rig() -> Rig:
    return Rig().connect()


def test_a_connected_viewer_is_attached_to_both_tracks(rig: Rig) -> None:
    assert rig.calls == [("attach", "audio", "live"), ("attach", "video", "keyframe")]
    video, audio = rig.kernel.tracks
    assert (video.ssrc, video.rtx_ssrc, video.rtx_payload_type) == (VIDEO, RTX, 97)
    assert (video.first_sequence, video.rtx_first_sequence, video.timestamp_offset) == (1, 2, 4)
    assert (audio.ssrc, audio.rtx_payload_type, audio.first_sequence) == (AUDIO, None, 3)
    assert audio.timestamp_offset == 5


def test_a_viewer_that_wants_no_picture_gets_none() -> None:
    rig = Rig("audio").connect()
    assert rig.calls == [("attach", "audio", "live")]
    assert [track.kind for track in rig.kernel.tracks] == ["audio"]


def test_a_move_is_passed_on(rig: Rig) -> None:
    other = Path(3, ("192.0.2.9", 6000))
    rig.session.peer_moved(other)
    assert rig.calls[-1] == ("path", other)
    assert rig.counts.moves == 1


def test_lost_packets_are_asked_for_within_a_bound(rig: Rig) -> None:
    rig.session.peer_rtcp(build_nack(1, VIDEO, range(700)) + build_nack(1, VIDEO, [900]), 0)
    asked = [call for call in rig.calls if call[0] == "nack"]
    assert sum(call[2] for call in asked) == MAX_NACKED
    assert rig.counts.nacks == 2


def test_a_flood_of_reports_is_not_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SECOND
    monkeypatch.setattr("hotpath.fanout.viewer.time.monotonic_ns", lambda: now)
    nack = build_nack(1, VIDEO, [900])
    for _ in range(10 * REPORTS_AT_ONCE):
        rig.session.peer_rtcp(nack, 0)
    assert rig.counts.nacks == REPORTS_AT_ONCE
    assert rig.counts.rtcp_over == 9 * REPORTS_AT_ONCE
    now += SECOND
    for _ in range(REPORTS_AT_ONCE):
        rig.session.peer_rtcp(nack, 0)
    assert rig.counts.nacks == REPORTS_AT_ONCE + REPORTS_PER_S


@pytest.fixture
def later(rig: Rig) -> Rig:
    """A while after the join, whose own picture answers the first requests."""
    rig.session.attached_ns -= SECOND
    return rig


def test_right_after_the_join_the_picture_is_on_its_way_already(rig: Rig) -> None:
    rig.session.peer_rtcp(build_pli(1, VIDEO), 0)
    assert ("resend",) not in rig.calls


@pytest.mark.parametrize("packet", [build_pli(1, VIDEO), build_fir(1, VIDEO, 3)])
def test_the_picture_is_repeated_from_the_ring_and_not_at_once_again(
    later: Rig, packet: bytes
) -> None:
    rig = later
    for _ in range(3):
        rig.session.peer_rtcp(packet, 0)
    assert rig.calls.count(("resend",)) == 1
    assert (rig.counts.plis, rig.counts.plis_answered, rig.feed.asked) == (3, 1, 0)


def test_the_source_is_asked_only_when_the_ring_has_no_keyframe(later: Rig) -> None:
    rig = later
    rig.kernel.viewer.keyframe = False
    rig.feed.stream.has_keyframe = False
    rig.session.peer_rtcp(build_pli(1, VIDEO), 0)
    assert rig.feed.asked == 1


@pytest.mark.parametrize("packet", [b"", b"\x00" * 40, b"\x80\xc9\x00\xff", b"\x81"])
def test_bad_reports_are_counted(rig: Rig, packet: bytes) -> None:
    rig.session.peer_rtcp(packet, 0)
    assert rig.counts.bad_rtcp == 1


def test_a_report_tells_the_round_trip(rig: Rig) -> None:
    rig.report(0, 1)
    assert rig.session.round_trip_ns == 30_000_000


async def test_a_viewer_that_cannot_keep_up_hears_then_comes_back(rig: Rig) -> None:
    assert rig.report(0.3, 12) == ["detach video"]
    assert rig.report(0.0, 12, 20) == ["attach video keyframe"]
    rig.session.channel.close()
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    assert text.count("event: rendition") == 2
    assert '"rendition":"audio"' in text
    assert '"rendition":"main"' in text


async def test_a_viewer_that_cannot_even_hear_is_let_go_with_the_reason(rig: Rig) -> None:
    rig.report(0.5, 60)
    assert rig.over == ["cannot-keep-up"]
    assert rig.calls[-1] == ("close", True)
    assert rig.peer.closed == 1
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    assert '"reason":"cannot-keep-up","detail":"50% of the packets are lost' in text


def test_what_was_reported_holds_until_the_next_report() -> None:
    """Receivers of sound alone report every five seconds, and reviews come every two."""
    rig = Rig("audio").connect()
    block = ReceptionReport(1, AUDIO, 128, 0, 0, 0, 1, 1)
    for second in range(40):
        if second % 5 == 0:
            rig.session.peer_rtcp(build_receiver_report(1, [block], "c"), 0)
        if second % 2 == 0:
            rig.session.review(second * SECOND)
    assert rig.over == ["cannot-keep-up"]


def test_frames_that_were_not_taken_count_like_loss(rig: Rig) -> None:
    for second in range(12):
        rig.kernel.viewer.now.frames_dropped += 3
        rig.session.review(second * SECOND)
    assert rig.calls[-1] == ("detach", "video")


def test_while_audio_alone_is_sent_no_picture_is_repeated(later: Rig) -> None:
    rig = later
    rig.report(0.3, 12)
    rig.session.peer_rtcp(build_pli(1, VIDEO), 0)
    assert ("resend",) not in rig.calls


def test_an_estimate_alone_moves_nothing(rig: Rig) -> None:
    rig.session.peer_rtcp(build_remb(1, 50_000, [VIDEO]), 0)
    assert rig.report(0.0, 30) == []


@pytest.mark.parametrize("how", ["left", "peer", "ended"])
def test_everything_is_given_up_once_whoever_ends_it(rig: Rig, how: str) -> None:
    if how == "left":
        rig.session.leave()
    elif how == "peer":
        rig.session.peer_closed("consent-expired")
    else:
        rig.session.end("ended", "event-over")
    rig.session.peer_closed("closed")
    rig.session.leave()
    assert len(rig.over) == 1
    assert rig.feed.watching == []
    assert [call for call in rig.calls if call[0] == "close"] == [("close", how != "peer")]


def test_an_offer_that_nobody_connects_for_gives_its_place_up() -> None:
    rig = Rig()
    rig.session.review(15 * SECOND)
    assert rig.over == []
    rig.session.review(16 * SECOND)
    rig.session.review(17 * SECOND)
    assert rig.over == ["never-connected"]
    assert rig.peer.closed == 1


def test_a_session_that_ends_before_it_connects_stays_ended(rig: Rig) -> None:
    early = Rig()
    early.session.leave()
    early.session.peer_connected(KEYS, PATH)
    assert early.calls == []
    assert early.over == ["left"]
