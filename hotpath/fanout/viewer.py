"""One viewer: from its SDP offer over a connected peer to kernel tracks, and what it reports back.

Invariant: everything the viewer holds elsewhere (peer, kernel viewer, place in the feed, control
channel) is given up exactly once, whoever ends it first. What a viewer may cause is bounded: one
repeat of the picture per `PLI_EVERY_NS`, `MAX_NACKED` packets per report, `REPORTS_PER_S` reports
that are read here at all; it never reaches the encoder while the ring can serve it. Reports that
ask for nothing are read by the kernel and looked at once a review.

Upstream: `whep` (HTTP), the mux (`PeerHandler`). Downstream: `hotpath.fanout.kernel` and the feed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from hotpath.fanout.choice import Choice, Health, Move, Off
from hotpath.fanout.control import Channel, ControlEvent
from hotpath.fanout.feed import AUDIO_HZ, Feed
from hotpath.fanout.kernel import Kernel, Viewer, ViewerLimits
from hotpath.fanout.limits import Rate
from hotpath.fanout.rendition import VIDEO_HZ, Rendition
from hotpath.fanout.tracks import Randoms, kernel_tracks
from hotpath.webrtc.handler import RtcpOpener
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from hotpath.webrtc.rtcp import (
    Fir,
    Nack,
    Pli,
    ReceptionReport,
    Remb,
    RtcpError,
    parse_rtcp,
)
from hotpath.webrtc.sdp import MediaChoice
from hotpath.webrtc.srtp import SrtpKeys
from infra.auth.policy import UNLIMITED, Rights
from infra.renditions import within

log = structlog.get_logger(__name__)

PLI_EVERY_NS = 500_000_000
MAX_NACKED = 512
REPORTS_PER_S, REPORTS_AT_ONCE = 100, 200
"""Browsers send a NACK every 20 ms at worst; reading the largest takes 0.2 ms of the loop."""
CONNECT_NS = 15_000_000_000
"""An offer that nobody connects for keeps another viewer's place for so long."""
CNAME = "livepath"
SOUND = "audio"
"""What a viewer is told that it gets when it is sound alone."""


@dataclass(slots=True)
class Counts:
    """What all viewers of the node did, for metrics."""

    nacks: int = 0
    plis: int = 0
    plis_answered: int = 0
    bad_rtcp: int = 0
    rtcp_over: int = 0
    """Not read: its viewer sent too much."""
    moves: int = 0


class ViewerSession:
    """See the module for the invariant. Implements `PeerHandler`."""

    def __init__(
        self,
        session_id: str,
        feed: Feed,
        kernel: Kernel,
        media: MediaChoice,
        randoms: Randoms,
        *,
        address: str,
        token: str | None,
        token_id: str | None,
        host: str = "",
        rights: Rights = UNLIMITED,
        counts: Counts,
        on_connected: Callable[["ViewerSession"], None],
        on_closed: Callable[["ViewerSession", str], None],
        posted_ns: int,
    ) -> None:
        self.id = session_id
        self.feed = feed
        self.media = media
        self.randoms = randoms
        self.address = address
        self.token = token
        """What opened the event for it; None: nothing had to."""
        self.token_id = token_id
        self.host = host
        """Where the offer came from."""
        self.rights = rights
        self.channel = Channel()
        self.etag = ""
        self.remote_ufrag = ""
        self.posted_ns = posted_ns
        self.connected_ns: int | None = None
        self.first_sent_ns: int | None = None
        self.attached_ns = 0
        """When it was last given the picture from its keyframe on."""
        self.round_trip_ns: int | None = None
        self.path: Path | None = None
        self.closed: str | None = None
        """Why it is over."""
        self._kernel = kernel
        self._counts = counts
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._peer: Peer | None = None
        self._viewer: Viewer | None = None
        self._rendition = self._offered[0]
        """What it sees, or would if it had a picture."""
        self._choice = Choice(
            [r.bps for r in self._offered] if media.video else [], audio=media.audio is not None
        )
        self._lost, self._jitter_ms = 0.0, 0
        """From its reports on the picture, or on the sound where that is all it gets: the worst
        loss since the last review (if none came, the one looked at then), the last jitter."""
        self._reviewed = False
        """No report has come since the last review."""
        self._remb_bps: int | None = None
        self._reports = Rate(REPORTS_PER_S, REPORTS_AT_ONCE)
        self._dropped = 0
        self._showing = False
        self._log = log.bind(program=str(feed.key), session=session_id[:8])

    @property
    def peer(self) -> Peer:
        if self._peer is None:
            raise RuntimeError("the session has no peer yet")
        return self._peer

    @peer.setter
    def peer(self, peer: Peer) -> None:
        self._peer = peer

    @property
    def viewer(self) -> Viewer | None:
        return self._viewer

    # -- PeerHandler -------------------------------------------------------------------------

    def peer_connected(self, keys: SrtpKeys, path: Path) -> RtcpOpener | None:
        if self.closed is not None:
            return None
        self.path = path
        now = time.monotonic_ns()
        tracks = kernel_tracks(self.media, self.randoms)
        self._viewer = self._kernel.add_viewer(
            keys, path, tracks, cname=CNAME, limits=ViewerLimits()
        )
        if self.media.audio is not None:
            self._viewer.attach("audio", self.feed.audio, start="live")
        self.feed.watch(self)
        self.connected_ns = now  # last: a join that fails on the way here is counted as failed
        self._on_connected(self)
        return self._viewer.reports

    def peer_moved(self, path: Path) -> None:
        self.path = path
        self._counts.moves += 1
        if self._viewer is not None:
            self._viewer.set_path(path)

    def peer_rtp(self, packet: bytes, received_ns: int) -> None:
        """Viewers send no media; what comes all the same is not looked at."""

    def peer_rtcp(self, packet: bytes, received_ns: int) -> None:
        viewer, now = self._viewer, time.monotonic_ns()
        if viewer is None:
            return
        if self._reports.wait_ns(now):
            self._counts.rtcp_over += 1
            return
        self._reports.take(now)
        try:
            events = parse_rtcp(packet)
        except RtcpError:
            self._counts.bad_rtcp += 1
            return
        left = MAX_NACKED
        for event in events:
            match event:
                case Nack(ssrc=ssrc, sequences=sequences):
                    self._counts.nacks += 1
                    viewer.nack(ssrc, sequences[:left])
                    left -= min(left, len(sequences))
                case Pli() | Fir():
                    self._repeat_picture(viewer, now)
                case ReceptionReport():
                    self._receive_report(viewer, event)
                case Remb(bitrate=bitrate):
                    self._remb_bps = bitrate

    def peer_closed(self, reason: str) -> None:
        self._release(reason, bye=False)

    # -- what it reports ---------------------------------------------------------------------

    def _repeat_picture(self, viewer: Viewer, now: int) -> None:
        self._counts.plis += 1
        # One that was attached or served a moment ago has the picture on its way already.
        if now - self.attached_ns < PLI_EVERY_NS or not self._showing:
            return
        self.attached_ns = now
        if viewer.resend_keyframe():
            self._counts.plis_answered += 1
        elif not self._rendition.stream.has_keyframe:
            self.feed.request_keyframe()

    def _receive_report(self, viewer: Viewer, report: ReceptionReport) -> None:
        # A report on sound or RTX counts so few packets that a few percent of loss look like many.
        video, ssrcs = self._showing, self.randoms.ssrcs
        if report.ssrc != (ssrcs.video if video else ssrcs.audio):
            return
        trip_ns = viewer.round_trip_ns(report.ssrc, report.last_sr, report.delay_since_sr)
        self._judge(report.fraction_lost / 256, report.jitter, trip_ns)

    def _take_reports(self, viewer: Viewer) -> None:
        """Those that the kernel has read since the last review."""
        heard = viewer.reports.take(video=self._showing)
        if heard.remb_bps is not None:
            self._remb_bps = heard.remb_bps
        if heard.reports:
            self._judge(heard.worst_lost, heard.jitter, heard.round_trip_ns)

    def _judge(self, lost: float, jitter: int, trip_ns: int | None) -> None:
        """`lost`: a fraction; `jitter`: ticks of the clock of what it gets."""
        self._lost = lost if self._reviewed else max(self._lost, lost)
        self._reviewed = False
        self._jitter_ms = 1000 * jitter // (VIDEO_HZ if self._showing else AUDIO_HZ)
        if trip_ns is not None:
            self.round_trip_ns = trip_ns

    def review(self, now: int) -> None:
        """Decide, every second or two, whether what it gets still fits its path."""
        viewer = self._viewer
        if self.closed is not None:
            return
        if viewer is None:
            if now - self.posted_ns > CONNECT_NS:
                self._release("never-connected")
            return
        self._take_reports(viewer)
        stats = viewer.stats()
        dropped, self._dropped = stats.frames_dropped - self._dropped, stats.frames_dropped
        rtt_ms = (self.round_trip_ns or self.peer.round_trip_ns or 0) // 1_000_000
        health = Health(self._lost, self._jitter_ms, rtt_ms, self._remb_bps, dropped, stats.waiting)
        self._reviewed = True
        self.renditions_changed()
        match self._choice.receive(health, now):
            case Move(level=level, reason=reason):
                self._move(viewer, level, reason)
            case Off(reason=reason):
                self.end("revoked", "cannot-keep-up", detail=reason)

    # -- what it gets ------------------------------------------------------------------------

    @property
    def rendition(self) -> str:
        """Name of what it is given."""
        return SOUND if self._choice.audio_only else self._rendition.name

    def first_frame(self, now: int) -> bool:
        """Whether its first picture (or, without video, sound) has left; notes when."""
        if self.first_sent_ns is None and self._viewer is not None:
            stats = self._viewer.stats()
            if stats.stream is not None if self.media.video else stats.packets:
                self.first_sent_ns = now
        return self.first_sent_ns is not None

    def video_ready(self) -> None:
        """From the feed: there is video to attach to."""
        if self._viewer is not None and self.media.video and not self._choice.audio_only:
            self._show(self._viewer)

    def renditions_changed(self) -> None:
        """From the feed: whose rendition has ended sees the best that it may have, at once."""
        had = self._rendition
        self._know_renditions()
        ended = had not in self.feed.renditions
        cap = f"nothing above {self.rights.cap} is due"
        self._changed_from(had, f"{had.name} has ended" if ended else cap)

    def entitle(self, rights: Rights) -> None:
        """What is due to the viewer from now on, at once."""
        before, self.rights = self.rights, rights
        if not rights.path.whep:
            self.fall_back("tier", "the tier of this viewer watches by LL-HLS")
        elif rights.cap != before.cap:
            had, at_best = self._rendition, self._choice.level == 0
            if at_best and self.media.video is not None:
                self._rendition = self._offered[0]
            self._know_renditions()
            self._changed_from(had, "the cap has changed")

    def _changed_from(self, had: Rendition, reason: str) -> None:
        if self._rendition is had or self._viewer is None or not self._showing:
            return
        self._show(self._viewer)
        self._tell_rendition(self._rendition.name, reason)

    @property
    def _offered(self) -> tuple[Rendition, ...]:
        """What there is for it, best first."""
        renditions: tuple[Rendition, ...] = self.feed.renditions
        if self.rights.cap is None:
            return renditions
        fitting = within({one.name: one.height for one in renditions}, self.rights.cap)
        return tuple(one for one in renditions if one.name in fitting)

    def _know_renditions(self) -> None:
        """What can be chosen now; a rendition keeps its viewer wherever it stands among others."""
        if self.media.video is None:
            return
        renditions = self._offered
        if self._rendition not in renditions:
            self._rendition = renditions[0]
        rates = [rendition.bps for rendition in renditions]
        self._choice.renditions(rates, renditions.index(self._rendition))

    def _move(self, viewer: Viewer, level: int, reason: str) -> None:
        if self._choice.audio_only:
            viewer.detach("video")
            self._showing = False
            self._tell_rendition(SOUND, reason)
            return
        self._rendition = self._offered[level]
        if self._showing:
            viewer.switch(self._rendition.stream)
        else:
            self._show(viewer)
        self._tell_rendition(self._rendition.name, reason)

    def _tell_rendition(self, name: str, reason: str) -> None:
        self._log.info("a viewer changes its rendition", rendition=name, why=reason)
        self.tell("rendition", {"rendition": name, "reason": reason})

    def _show(self, viewer: Viewer) -> None:
        viewer.attach("video", self._rendition.stream, start="keyframe")
        self._showing, self.attached_ns = True, time.monotonic_ns()

    # -- its end -----------------------------------------------------------------------------

    def tell(self, name: str, data: Mapping[str, object]) -> None:
        self.channel.put(ControlEvent(name, data))

    def end(self, event: str, reason: str, **data: object) -> None:
        """Tell the viewer why, then close everything."""
        if self.closed is None:
            self.tell(event, {"reason": reason, **data})
            self._release(reason)

    def fall_back(self, reason: str, detail: str, **data: object) -> None:
        """Send the viewer to LL-HLS."""
        self.end("fallback", reason, detail=detail, **data)

    def restart(self, ufrag: str, pwd: str) -> tuple[str, str]:
        """ICE restart: the viewer's new credentials for ours; media goes on meanwhile."""
        own = self.peer.restart(ufrag, pwd)
        self.remote_ufrag, self.etag = ufrag, f'"{own[0]}"'
        return own

    def drop(self, reason: str) -> None:
        """Without a word: a page that misses its picture joins anew."""
        self._release(reason)

    def leave(self) -> None:
        """The viewer said that it goes."""
        self._release("left")

    def _release(self, reason: str, *, bye: bool = True) -> None:
        if self.closed is not None:
            return
        self.closed = reason
        self.channel.close()
        self.feed.unwatch(self)
        if self._viewer is not None:
            self._viewer.close(bye=bye)
        if self._peer is not None:
            self._peer.close()
        self._on_closed(self, reason)
