"""Many light viewers in one thread: sockets, feedback and, for probes, frames.

Invariant: one `step` handles everything that has arrived and everything that is due, and waits for
nothing but the sockets. Signalling blocks, so it has threads of its own. A probe decrypts and puts
frames together; all others only count (see receive.c).
"""

import heapq
import queue
import random
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pylibsrtp
from aiortc.rtp import (
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
)

from benchmarks.frames import Frame, FrameReceiver, parse_rtp, repaired, stamp_in
from benchmarks.peer import GCM, Peer
from benchmarks.receive import Datagram, Receiver, StreamCounts
from benchmarks.signalling import Session

TICK_S, REPORT_S, PLI_S = 0.01, 1.0, 0.5
GATHER_S = 0.002
Signal = Callable[[Peer], Session]


@dataclass(slots=True)
class Probe:
    """What one decrypting viewer has seen of its video."""

    repairs: bool = False
    """Ask for what is missing: NACK, and PLI when only a key frame helps."""
    receiver: FrameReceiver = field(default_factory=FrameReceiver)
    frames: list[Frame] = field(default_factory=list)
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    """(arrival, stamp): the packet with a frame's stamp, Unix ns and µs."""
    reports: list[RtcpSrPacket] = field(default_factory=list)
    left: bool = False
    """The server said BYE."""
    ssrc: int = 0
    pli_at: float = 0.0
    unverified: int = 0
    newest_us: int = 0

    @property
    def first_keyframe_ns(self) -> int | None:
        return next((f.complete_ns for f in self.frames if f.keyframe and f.decodable_ns), None)


class Viewer:
    def __init__(self, peer: Peer, index: int, probe: Probe | None) -> None:
        self.peer, self.index, self.probe = peer, index, probe
        self.session: Session | None = None
        self.error: str | None = None
        self.status = 0
        """HTTP status of a refusal."""
        self.started = self.started_ns = 0.0
        self.ended = False

    @property
    def settled(self) -> bool:
        """Connected, or it never will be."""
        return self.error is not None or self.peer.failure is not None or self.peer.connected

    @property
    def failure(self) -> str | None:
        return self.error or self.peer.failure

    def elapsed_ms(self, what: str) -> float | None:
        """From the offer until it was `answered`, had an `ice` pair, or was `connected`."""
        at = self.peer.times.get(what)
        return None if at is None else 1000 * (at - self.started)


class Viewers:
    """Up to `capacity` viewers over the object's life."""

    def __init__(
        self,
        capacity: int,
        *,
        profiles: bytes = GCM,
        host: str = "127.0.0.1",
        signalling_threads: int = 16,
    ) -> None:
        _raise_descriptor_limit()
        self._profiles, self._host = profiles, host
        self._receiver = Receiver(capacity)
        self.all: list[Viewer] = []
        self._connecting: list[Viewer] = []
        self._due: list[tuple[float, int]] = []
        self._answers: queue.SimpleQueue[tuple[Viewer, Session | None, Exception | None]]
        self._answers = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(signalling_threads)
        ]
        for thread in self._threads:
            thread.start()
        self._ticked = 0.0
        self._keep_at = time.monotonic() + 20

    def open(self, signal: Signal, *, probe: Probe | None = None, offers: bool = True) -> Viewer:
        """A viewer that begins now; `offers`: it, not the server, sends the offer."""
        peer = Peer(profiles=self._profiles, controlling=offers, host=self._host)
        index = self._receiver.add(peer.socket, keep_media=probe is not None)
        viewer = Viewer(peer, index, probe)
        self.all.append(viewer)

        def job() -> None:
            viewer.started, viewer.started_ns = time.monotonic(), time.time_ns()
            try:
                self._answers.put((viewer, signal(peer), None))
            except Exception as error:  # noqa: BLE001 - reported as the viewer's failure
                self._answers.put((viewer, None, error))

        self._jobs.put(job)
        return viewer

    def step(self, timeout_ms: int = 5) -> None:
        for datagram in self._receiver.receive(timeout_ms):
            self._receive(self.all[datagram.viewer], datagram)
        self._take_answers()
        now = time.monotonic()
        if now - self._ticked >= TICK_S:
            self._ticked = now
            self._tick(now)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Step for so long, or until the condition holds; says whether it did."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.step()
            if until():
                return True
            # Gather: one datagram a turn would cost more than all the rest. Arrivals are the
            # kernel's, so nothing that is measured waits for this.
            time.sleep(GATHER_S)
        return False

    def counts(self, viewer: Viewer) -> list[StreamCounts]:
        return self._receiver.counts(viewer.index)

    def first_packet_ms(self, viewer: Viewer) -> float | None:
        at = self._receiver.first_ns(viewer.index)
        return (at - viewer.started_ns) / 1e6 if at else None

    def leave(self, viewer: Viewer) -> None:
        """Say goodbye; the session's end is told by a signalling thread."""
        if viewer.ended:
            return
        viewer.ended = True
        self._receiver.remove(viewer.peer.socket)
        viewer.peer.close()
        if viewer.session is not None:
            self._jobs.put(viewer.session.close)

    def vanish(self, viewer: Viewer) -> None:
        """As a phone in a tunnel: not a word."""
        viewer.ended = True
        self._receiver.remove(viewer.peer.socket)
        viewer.peer.socket.close()

    def close(self) -> None:
        for viewer in self.all:
            self.leave(viewer)
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(30)
        self._receiver.close()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _take_answers(self) -> None:
        while not self._answers.empty():
            viewer, session, error = self._answers.get()
            if session is None:
                viewer.error = f"{type(error).__name__}: {error}"
                viewer.status = int(getattr(error, "status", 0))
                continue
            viewer.session = session
            if viewer.ended:
                self._jobs.put(session.close)
                continue
            viewer.peer.start(session.remote)
            self._connecting.append(viewer)

    def _tick(self, now: float) -> None:
        still = []
        for viewer in self._connecting:
            if viewer.ended or viewer.failure:
                continue
            viewer.peer.tick(now)
            if viewer.peer.connected:
                heapq.heappush(self._due, (now + random.random() * REPORT_S, viewer.index))
            else:
                still.append(viewer)
        self._connecting = still
        while self._due and self._due[0][0] <= now:
            viewer = self.all[heapq.heappop(self._due)[1]]
            if viewer.ended or viewer.failure:
                continue
            viewer.peer.tick(now)
            self._report(viewer)
            heapq.heappush(
                self._due, (now + REPORT_S * (0.9 + 0.2 * random.random()), viewer.index)
            )
        for viewer in self.all:
            if viewer.probe is not None and not viewer.ended:
                self._collect(viewer, viewer.probe.receiver.poll(time.time_ns()))
                self._ask(viewer, viewer.probe, now)
        if now >= self._keep_at:
            self._keep_at = now + 20
            for viewer in self.all:
                if viewer.session is not None and viewer.session.keep and not viewer.ended:
                    self._jobs.put(viewer.session.keep)

    def _report(self, viewer: Viewer) -> None:
        reports = [
            RtcpReceiverInfo(s.ssrc, 0, 0, s.highest & 0xFFFFFFFF, 0, 0, 0)
            for s in self.counts(viewer)
        ]
        viewer.peer.send_rtcp(bytes(RtcpRrPacket(viewer.peer.ssrc, reports)))

    # -- what arrives ------------------------------------------------------------------------

    def _receive(self, viewer: Viewer, datagram: Datagram) -> None:
        data = datagram.data
        if viewer.ended or len(data) < 12:
            return
        if data[0] >> 6 != 2:
            viewer.peer.receive(data, datagram.address, time.monotonic())
        elif viewer.probe is not None and viewer.peer.connected:
            try:
                if 192 <= data[1] <= 223:
                    self._receive_rtcp(viewer.probe, viewer.peer.unprotect_rtcp(data))
                else:
                    self._receive_rtp(viewer, viewer.probe, datagram)
            except pylibsrtp.Error:
                viewer.probe.unverified += 1

    def _receive_rtcp(self, probe: Probe, plain: bytes) -> None:
        for packet in RtcpPacket.parse(plain):
            if isinstance(packet, RtcpSrPacket):
                probe.reports.append(packet)
            elif isinstance(packet, RtcpByePacket):
                probe.left = True

    def _receive_rtp(self, viewer: Viewer, probe: Probe, datagram: Datagram) -> None:
        packet = parse_rtp(viewer.peer.unprotect(datagram.data))
        assert viewer.peer.remote is not None
        remote, now = viewer.peer.remote, datagram.at_ns
        original = remote.repairs.get(packet.payload_type)
        if original is not None:
            mended = repaired(packet, original)
            if mended is not None and remote.codecs.get(original) == "h264":
                self._collect(viewer, probe.receiver.receive(mended, now, repair=True))
        elif remote.codecs.get(packet.payload_type) == "h264" and packet.payload:
            probe.ssrc = packet.ssrc
            stamp = stamp_in(packet.payload)
            if stamp:
                probe.arrivals.append((now, stamp))
            self._collect(viewer, probe.receiver.receive(packet, now))

    def _collect(self, viewer: Viewer, frames: list[Frame]) -> None:
        if viewer.probe is not None and frames:
            viewer.probe.frames += frames
            stamps = [f.stamp_us for f in frames if f.decodable_ns and f.stamp_us]
            viewer.probe.newest_us = max([viewer.probe.newest_us, *stamps])

    def _ask(self, viewer: Viewer, probe: Probe, now: float) -> None:
        if not probe.repairs or not probe.ssrc:
            return
        ours = viewer.peer.ssrc
        lost = probe.receiver.nacks(time.time_ns())
        if lost:
            nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, ours, probe.ssrc, lost[:200])
            viewer.peer.send_rtcp(bytes(nack))
        if probe.receiver.broken and now >= probe.pli_at:
            probe.pli_at = now + PLI_S
            viewer.peer.send_rtcp(bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, ours, probe.ssrc)))


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
