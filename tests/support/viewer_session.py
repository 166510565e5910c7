"""A viewer's session whose kernel, feed and peer write down what is asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hotpath.fanout.choice import SECOND
from hotpath.fanout.intake import Reported
from hotpath.fanout.kernel import RtpTrack
from hotpath.fanout.rendition import Rendition
from hotpath.fanout.tracks import Randoms
from hotpath.fanout.viewer import Counts, ViewerSession
from hotpath.webrtc.path import Path
from hotpath.webrtc.rtcp import ReceptionReport, build_receiver_report
from hotpath.webrtc.sdp import MediaChoice, RtpCodec, SendSsrcs, TrackChoice
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile
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


NOTHING_REPORTED = Reported(0, 0.0, 0, None, None)


class FakeReports:
    """What the kernel has read is what a test says; else every report comes to the session."""

    def __init__(self) -> None:
        self.heard = NOTHING_REPORTED

    def take(self, *, video: bool) -> Reported:
        heard, self.heard = self.heard, NOTHING_REPORTED
        return heard


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
    reports: FakeReports = field(default_factory=FakeReports)

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
        before = len(self.calls)
        for second in range(start, start + seconds):
            self.hear({VIDEO: lost, AUDIO: lost})
            self.session.review(second * SECOND)
        return [" ".join(map(str, call)) for call in self.calls[before:]]

    def hear(self, lost: Mapping[int, float], jitter: int = 900) -> None:
        """One report with a block for each SSRC: the fraction lost, and jitter in its clock."""
        blocks = [
            ReceptionReport(1, ssrc, int(fraction * 256), 0, 0, jitter, 1, 1)
            for ssrc, fraction in lost.items()
        ]
        self.session.peer_rtcp(build_receiver_report(1, blocks, "c"), 0)


def cast_any(value: Any) -> Any:
    return value
