"""One viewer's session: what its reports do, and that everything is given up once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from hotpath.fanout.choice import SECOND
from hotpath.fanout.kernel import RtpTrack
from hotpath.fanout.rendition import Rendition
from hotpath.fanout.viewer import (
    MAX_NACKED,
    REPORTS_AT_ONCE,
    REPORTS_PER_S,
    Counts,
    Randoms,
    ViewerSession,
)
from hotpath.webrtc.path import Path
from hotpath.webrtc.rtcp import (
    ReceptionReport,
    build_fir,
    build_nack,
    build_pli,
    build_receiver_report,
    build_remb,
)
from hotpath.webrtc.sdp import MediaChoice, RtpCodec, SendSsrcs, TrackChoice
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile
from infra.auth.policy import Path as Way
from infra.auth.policy import Rights
from infra.keys import ProgramKey

VIDEO, RTX, AUDIO = 11, 12, 13
KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, b"k" * 16, b"s" * 12, b"k" * 16, b"s" * 12)
PATH = Path(3, ("192.0.2.1", 5000))


def track(kind: str) -> TrackChoice:
    clock, name = (90_000, "h264") if kind == "video" else (48_000, "opus")
    feedback = frozenset({"nack", "nack pli"}) if kind == "video" else frozenset[str]()
    codec = RtpCodec(96, name, clock, 1, {}, feedback, 97 if kind == "video" else None)
    return TrackChoice(0, kind, codec, "", 0)


@dataclass
class Stats:
    frames_dropped: int = 0
    waiting: bool = False
    stream: int | None = None
    packets: int = 0


@dataclass(eq=False)
class FakeStream:
    has_keyframe: bool = True
    name: str = "main"


@dataclass
class FakeViewer:
    """Notes the commands; the kernel has its own tests."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    now: Stats = field(default_factory=Stats)
    keyframe: bool = True
    sees: str = ""

    def attach(self, kind: str, stream: Any, *, start: str) -> None:
        self.calls.append(("attach", kind, start))
        self.sees = stream.name if kind == "video" else self.sees

    def switch(self, stream: Any) -> None:
        self.calls.append(("switch",))
        self.sees = stream.name

    def detach(self, kind: str) -> None:
        self.calls.append(("detach", kind))

    def resend_keyframe(self) -> bool:
        self.calls.append(("resend",))
        return self.keyframe

    def nack(self, ssrc: int, sequences: Sequence[int]) -> None:
        self.calls.append(("nack", ssrc, len(sequences)))

    def set_path(self, path: Path) -> None:
        self.calls.append(("path", path))

    def round_trip_ns(self, ssrc: int, lsr: int, dlsr: int) -> int | None:
        return 30_000_000

    def stats(self) -> Stats:
        return self.now

    def close(self, *, bye: bool = True) -> None:
        self.calls.append(("close", bye))


@dataclass
class FakeKernel:
    viewer: FakeViewer = field(default_factory=FakeViewer)
    tracks: list[RtpTrack] = field(default_factory=list)

    def add_viewer(self, keys: Any, path: Any, tracks: Sequence[RtpTrack], **more: Any) -> Any:
        self.tracks = list(tracks)
        return self.viewer


def rendition(name: str) -> Rendition:
    return Rendition(name, FakeStream(name=name), 1_000_000)  # type: ignore[arg-type]


class FakeFeed:
    def __init__(self) -> None:
        self.key = ProgramKey("acme", "ev_1")
        self.stream = FakeStream()
        self.renditions: Any = (Rendition("main", self.stream),)  # type: ignore[arg-type]
        self.audio = FakeStream()
        self.watching: list[Any] = []
        self.asked = 0

    def have(self, *rungs: str) -> None:
        """These beside the source; who watches is told."""
        known = {one.name: one for one in self.renditions}
        made = {name: known.get(name) or rendition(name) for name in rungs}
        self.renditions = (self.renditions[0], *made.values())
        for watcher in list(self.watching):
            watcher.renditions_changed()

    def watch(self, watcher: Any) -> None:
        self.watching.append(watcher)
        watcher.video_ready()

    def unwatch(self, watcher: Any) -> None:
        if watcher in self.watching:
            self.watching.remove(watcher)

    def request_keyframe(self) -> None:
        self.asked += 1


@dataclass
class FakePeer:
    closed: int = 0
    round_trip_ns: int | None = None

    def close(self) -> None:
        self.closed += 1


class Rig:
    def __init__(self, kinds: Literal["both", "audio"] = "both") -> None:
        self.feed, self.kernel, self.peer = FakeFeed(), FakeKernel(), FakePeer()
        self.counts, self.over = Counts(), list[str]()
        feed, kernel, peer = (
            cast_any(self.feed), cast_any(self.kernel), cast_any(self.peer)
        )  # fmt: skip
        self.session = ViewerSession(
            "s1",
            feed,
            kernel,
            MediaChoice(track("video") if kinds == "both" else None, track("audio")),
            Randoms(SendSsrcs(VIDEO, RTX, AUDIO), (1, 2, 3), (4, 5)),
            address="192.0.2.1",
            token=None,
            token_id=None,
            counts=self.counts,
            on_connected=lambda session: None,
            on_closed=lambda session, reason: self.over.append(reason),
            posted_ns=0,
        )
        self.session.peer = peer

    def connect(self) -> "Rig":
        self.session.peer_connected(KEYS, PATH)
        return self

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        return self.kernel.viewer.calls

    def report(self, lost: float, seconds: int, start: int = 0) -> list[str]:
        """The same report once a second; what the session did about it, but for reviews."""
        block = ReceptionReport(1, VIDEO, int(lost * 256), 0, 0, 900, 1, 1)
        before = len(self.calls)
        for second in range(start, start + seconds):
            self.session.peer_rtcp(build_receiver_report(1, [block], "c"), 0)
            self.session.review(second * SECOND)
        return [" ".join(map(str, call)) for call in self.calls[before:]]


def cast_any(value: Any) -> Any:
    return value


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


async def events(rig: Rig) -> list[tuple[str, str]]:
    """(rendition, reason) of everything that the viewer was told of its rendition."""
    rig.session.channel.close()
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    told = text.split("event: rendition\ndata: ")[1:]
    found = [json.loads(one.split("\n")[0]) for one in told]
    return [(one["rendition"], one["reason"]) for one in found]


async def test_a_viewer_that_cannot_keep_up_walks_down_the_ladder_and_back(rig: Rig) -> None:
    rig.feed.have("720p", "360p")
    assert rig.kernel.viewer.sees == "main"
    assert rig.report(0.2, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"
    assert rig.report(0.2, 4, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    # Retransmission repairs as much on the lowest one.
    assert rig.report(0.2, 20, 8) == []
    assert rig.report(0.0, 20, 28) == ["switch", "switch"]
    assert rig.kernel.viewer.sees == "main"
    assert [name for name, _ in await events(rig)] == ["720p", "360p", "720p", "main"]


async def test_a_viewer_whose_rendition_ends_sees_the_source_at_once(rig: Rig) -> None:
    rig.feed.have("720p", "360p")
    rig.report(0.2, 4)
    before = len(rig.calls)
    rig.feed.have("360p")
    assert rig.calls[before:] == [("attach", "video", "keyframe")]
    assert rig.kernel.viewer.sees == "main"
    # Its path is as it was, so it goes down again, to what there is.
    assert rig.report(0.2, 4, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    assert (await events(rig))[1] == ("main", "720p has ended")


async def test_a_viewer_keeps_its_rendition_when_others_come_and_go(rig: Rig) -> None:
    rig.feed.have("480p")
    rig.report(0.2, 4)
    for rungs in (("720p", "480p"), ("720p", "480p", "360p"), ("480p", "360p"), ("480p",)):
        rig.feed.have(*rungs)
        rig.session.review(4 * SECOND)
        assert rig.kernel.viewer.sees == "480p"
    assert [name for name, _ in await events(rig)] == ["480p"]
    assert rig.calls[-1] == ("switch",)


async def test_on_sound_alone_nothing_happens_when_a_rung_ends(rig: Rig) -> None:
    rig.feed.have("360p")
    rig.report(0.5, 15)
    assert rig.calls[-1] == ("detach", "video")
    before = len(rig.calls)
    rig.feed.have()
    assert rig.calls[before:] == []
    assert rig.report(0.0, 9, 15) == ["attach video keyframe"]
    assert rig.kernel.viewer.sees == "main"


def test_a_viewer_of_sound_is_not_concerned() -> None:
    rig = Rig("audio").connect()
    rig.feed.have("720p")
    rig.feed.have()
    assert rig.calls == [("attach", "audio", "live")]


def due(cap: str | None, path: Way = Way.BOTH) -> Rights:
    return Rights(path, cap, 0)


async def test_a_cap_is_obeyed_at_once_and_its_end_as_well(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    assert rig.kernel.viewer.sees == "main"
    rig.session.entitle(due("720p"))
    assert rig.kernel.viewer.sees == "720p"
    rig.session.entitle(due("480p"))
    assert rig.kernel.viewer.sees == "360p"
    rig.session.entitle(due(None))
    assert rig.kernel.viewer.sees == "main"
    rig.session.entitle(due(None))
    assert [name for name, _ in await events(rig)] == ["720p", "360p", "main"]


def test_a_viewer_with_a_cap_climbs_no_further(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    rig.session.entitle(due("720p"))
    assert rig.report(0.2, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    assert rig.report(0.0, 60, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"


def test_whose_path_has_brought_it_down_stays_there_when_its_cap_is_lifted(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    rig.session.entitle(due("720p"))
    rig.report(0.2, 4)
    rig.session.entitle(due(None))
    assert rig.kernel.viewer.sees == "360p"
    assert rig.report(0.0, 9, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"


def test_a_viewer_with_a_cap_sees_the_source_until_there_is_something_lower(rig: Rig) -> None:
    rig.session.entitle(due("360p"))
    assert rig.kernel.viewer.sees == "main"
    rig.feed.have("720p")
    assert rig.kernel.viewer.sees == "720p"
    rig.feed.have("720p", "360p")
    assert rig.kernel.viewer.sees == "360p"
    rig.feed.have("720p")
    assert rig.kernel.viewer.sees == "720p"


async def test_who_may_no_longer_watch_this_way_is_sent_to_the_other(rig: Rig) -> None:
    rig.session.entitle(due(None, Way.HLS))
    rig.session.entitle(due(None, Way.HLS))
    assert rig.over == ["tier"]
    assert rig.calls[-1] == ("close", True)
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    assert 'event: fallback\ndata: {"reason":"tier",' in text


def test_an_audio_only_viewer_has_no_cap_to_obey() -> None:
    rig = Rig("audio").connect()
    rig.session.entitle(due("240p"))
    assert rig.calls == [("attach", "audio", "live")]
