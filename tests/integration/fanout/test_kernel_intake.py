"""What viewers send, received by the kernel: RFC 3711 3.3.2 and 3.4, RFC 7714 9, RFC 3550 6.4."""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hotpath.fanout.intake import Reported, ViewerReports
from hotpath.fanout.kernel import Kernel
from hotpath.webrtc.errors import Rejected
from hotpath.webrtc.handler import RtcpOpener
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.path import Path
from hotpath.webrtc.rtcp import (
    ReceptionReport,
    Remb,
    RtcpEvent,
    build_bye,
    build_nack,
    build_pli,
    build_receiver_report,
    build_remb,
    build_sdes,
    parse_rtcp,
)
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile
from hotpath.webrtc.srtp_session import SrtpReceiver, SrtpSender
from tests.support.fanout import until
from tests.support.kernel import AUDIO, CM, GCM, VIDEO, far_end, frame, obeyed, push
from tests.support.rtc_client import Recorder, Wire, connected, running
from tests.support.rtc_packets import RECEIVER_REPORT, server_of

NOTHING = Reported(0, 0.0, 0, None, None)
NOW = 77
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
S = 1_000_000_000


def mirrored(keys: SrtpKeys) -> SrtpKeys:
    return SrtpKeys(
        keys.profile, keys.remote_key, keys.remote_salt, keys.local_key, keys.local_salt
    )


class Rig:
    """A viewer of a kernel on one socket, and its far end, which seals with libsrtp."""

    def __init__(self, kernel: Kernel, far: socket.socket, ours: socket.socket) -> None:
        self.kernel, self.far, self.ours = kernel, far, ours
        self.intake = kernel.intake()
        self.join(GCM)

    def join(self, profile: SrtpProfile) -> None:
        size = profile.salt_length
        keys = SrtpKeys(profile, b"a" * 16, b"b" * size, os.urandom(16), b"d" * size)
        path = Path(self.ours.fileno(), self.far.getsockname())
        self.keys = keys
        self.viewer = self.kernel.add_viewer(keys, path, (VIDEO, AUDIO), cname="livepath")
        self.sender = SrtpSender(mirrored(keys))

    def receive(
        self, *datagrams: bytes, of: socket.socket | None = None
    ) -> tuple[int, list[bytes]]:
        """How many the kernel took, and what it handed on."""
        for data in datagrams:
            (of or self.far).sendto(data, self.ours.getsockname())
        taken, rest = self.intake.receive(self.ours.fileno(), NOW)
        assert all(source == (of or self.far).getsockname() for _, source in rest)
        return taken, [data for data, _ in rest]


@contextmanager
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Kernel(shards=1) as made:
        yield made


@pytest.fixture
def rig(kernel: Kernel) -> Iterator[Rig]:
    with udp() as far, udp() as ours:
        made = Rig(kernel, far, ours)
        yield made
        made.viewer.close()


def report(*lost: float, ssrc: int = VIDEO.ssrc, jitter: int = 900, by: int = 5) -> bytes:
    """A receiver report with a block for each fraction lost."""
    blocks = [ReceptionReport(by, ssrc, int(256 * one), 0, 9, jitter, 0, 0) for one in lost]
    return build_receiver_report(by, blocks, "them")


@pytest.mark.parametrize("profile", [GCM, CM])
def test_reports_are_taken_and_told_once(rig: Rig, profile: SrtpProfile) -> None:
    rig.join(profile)
    assert rig.viewer.reports.take(video=True) == NOTHING
    assert rig.viewer.reports.heard_ns == 0
    sealed = [rig.sender.rtcp(report(lost)) for lost in (0.0, 0.25, 0.125)]
    sealed.append(rig.sender.rtcp(report(0.5, ssrc=AUDIO.ssrc)))
    sealed.append(rig.sender.rtcp(report(0.75, ssrc=VIDEO.rtx_ssrc) + build_remb(5, 300_000, [1])))
    assert rig.receive(*sealed) == (5, [])
    assert rig.viewer.reports.heard_ns == NOW
    assert rig.viewer.reports.take(video=True) == Reported(3, 0.25, 900, None, 300_000)
    assert rig.viewer.reports.take(video=True) == NOTHING
    assert rig.viewer.reports.take(video=False) == NOTHING  # both begin anew
    rig.receive(rig.sender.rtcp(report(0.5, ssrc=AUDIO.ssrc)))
    assert rig.viewer.reports.take(video=False).worst_lost == 0.5


def test_an_estimate_beyond_63_bits_is_the_most_there_is(rig: Rig) -> None:
    huge = bytearray(build_remb(5, 300_000, [1]))
    huge[17:20] = b"\xff\xff\xff"
    assert rig.receive(rig.sender.rtcp(bytes(huge))) == (1, [])
    assert rig.viewer.reports.take(video=True).remb_bps == (1 << 63) - 1


def test_a_report_tells_the_round_trip_of_the_sender_report_it_names() -> None:
    with Kernel(shards=1) as kernel, udp() as ours, far_end(out=ours) as far:
        stream = kernel.stream(90_000, video=True)
        viewer = far.join(kernel)
        viewer.attach("video", stream, start="live")
        obeyed(kernel)
        push(stream, frame(0))
        told = far.take_rtcp(lambda plain: plain[1] == 200)
        (named,) = struct.unpack_from("!I", told, 10)
        blocks = [ReceptionReport(5, VIDEO.ssrc, 0, 0, 9, 0, named, 0)]
        sealed = SrtpSender(mirrored(far.keys)).rtcp(build_receiver_report(5, blocks, "them"))
        far.socket.sendto(sealed, ours.getsockname())
        assert kernel.intake().receive(ours.fileno(), NOW) == (1, [])
        trip_ns = viewer.reports.take(video=True).round_trip_ns
        assert trip_ns is not None
        assert 0 <= trip_ns < 10 * S


@pytest.mark.parametrize(
    "asks",
    [
        report(0.5) + build_nack(5, VIDEO.ssrc, [1, 2]),
        report(0.5) + build_pli(5, VIDEO.ssrc),
        report(0.5) + build_bye([5]),
        report(0.5) + b"\xa0\xc9\0\1\0\0\0\4",  # padded
        report(0.5) + b"\x80\xc9\0\7",  # longer than the datagram
        report(0.5) + b"\0\0\0\0",
    ],
)
@pytest.mark.parametrize("profile", [GCM, CM])
def test_what_asks_for_something_is_handed_on_whole(
    rig: Rig, asks: bytes, profile: SrtpProfile
) -> None:
    rig.join(profile)
    sealed = rig.sender.rtcp(asks)
    assert rig.receive(sealed) == (0, [sealed])
    assert rig.viewer.reports.take(video=True) == NOTHING
    assert rig.viewer.reports.heard_ns == 0
    assert rig.viewer.reports.rtcp(sealed) == asks
    with pytest.raises(Rejected, match="rtcp-replayed"):
        rig.viewer.reports.rtcp(sealed)


def test_what_is_no_rtcp_is_handed_on_in_order(rig: Rig) -> None:
    others = [b"", b"\0", b"\x16\xfe\xfd" + bytes(40), b"\x80\x60" + bytes(1300), bytes(2000)]
    mixed = [one for other in others for one in (other, rig.sender.rtcp(report(0.0)))]
    assert rig.receive(*mixed) == (5, others)
    with pytest.raises(BlockingIOError):
        rig.receive()


def test_a_replay_of_a_taken_report_is_refused(rig: Rig) -> None:
    sealed = rig.sender.rtcp(report(0.5))
    assert rig.receive(sealed, sealed) == (1, [sealed])
    assert rig.viewer.reports.take(video=True).reports == 1
    with pytest.raises(Rejected, match="rtcp-replayed"):
        rig.viewer.reports.rtcp(sealed)


@pytest.mark.parametrize("profile", [GCM, CM])
def test_one_flipped_bit_anywhere_is_a_forgery_and_notes_nothing(
    rig: Rig, profile: SrtpProfile
) -> None:
    rig.join(profile)
    sealed = rig.sender.rtcp(report(0.5))
    for bit in range(8 * len(sealed)):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        assert rig.receive(bytes(forged)) == (0, [bytes(forged)])
        with pytest.raises(Rejected, match="rtcp-forged"):
            rig.viewer.reports.rtcp(bytes(forged))
    assert rig.viewer.reports.take(video=True) == NOTHING
    assert rig.viewer.reports.heard_ns == 0
    assert rig.receive(sealed) == (1, [])


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(junk=st.binary(max_size=1600), head=st.sampled_from([b"", b"\x80\xc9", b"\x8f\xce"]))
def test_bytes_without_the_key_are_handed_on_as_they_came(
    rig: Rig, junk: bytes, head: bytes
) -> None:
    data = head + junk
    assert rig.receive(data) == (0, [data])
    with pytest.raises(Rejected):
        rig.viewer.reports.rtcp(data)
    assert rig.viewer.reports.take(video=True) == NOTHING


@pytest.mark.parametrize(("size", "cause"), [(7, "short"), (8, "forged"), (1501, "long")])
def test_sizes_have_bounds(rig: Rig, size: int, cause: str) -> None:
    with pytest.raises(Rejected, match=f"rtcp-{cause}"):
        rig.viewer.reports.rtcp(b"\x80\xc9".ljust(size, b"\0"))


def test_reports_count_only_from_where_the_viewer_is(rig: Rig) -> None:
    with udp() as elsewhere:
        first, second, third = (rig.sender.rtcp(report(0.5)) for _ in range(3))
        assert rig.receive(first, of=elsewhere) == (0, [first])
        rig.viewer.set_path(Path(rig.ours.fileno(), elsewhere.getsockname()))
        assert rig.receive(first, of=elsewhere) == (1, [])
        assert rig.viewer.reports.heard_ns == NOW
        assert rig.receive(second) == (0, [second])
        rig.viewer.set_path(Path(rig.ours.fileno(), rig.far.getsockname()))
        assert rig.viewer.reports.heard_ns == 0
        rig.viewer.close()
        assert rig.receive(third) == (0, [third])


def test_who_comes_by_a_path_last_has_it(rig: Rig) -> None:
    before, sealed = rig.viewer, rig.sender.rtcp(report(0.5))
    rig.join(GCM)
    assert rig.receive(sealed) == (0, [sealed])
    assert rig.receive(rig.sender.rtcp(report(0.25))) == (1, [])
    assert rig.viewer.reports.take(video=True).worst_lost == 0.25
    before.close()  # and takes nothing away from it
    assert rig.receive(rig.sender.rtcp(report(0.25))) == (1, [])


def test_a_viewer_speaks_for_few_ssrcs(rig: Rig) -> None:
    sealed = [rig.sender.rtcp(report(0.0, by=ssrc)) for ssrc in range(1, 10)]
    assert rig.receive(*sealed) == (8, sealed[8:])
    with pytest.raises(Rejected, match="ssrc-limit"):
        rig.viewer.reports.rtcp(sealed[8])
    assert rig.receive(rig.sender.rtcp(report(0.0, by=1))) == (1, [])


@pytest.mark.parametrize("profile", [GCM, CM])
@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(order=st.lists(st.integers(0, 299), min_size=1, max_size=120))
@example(order=[128, 0, 1, 128, 299, 171, 172, 172])
def test_rfc3711_3_3_2_the_window_is_libsrtps(
    rig: Rig, profile: SrtpProfile, order: list[int]
) -> None:
    rig.join(profile)
    packets = [rig.sender.rtcp(RECEIVER_REPORT) for _ in range(300)]
    peer = SrtpReceiver(rig.keys)
    assert [opened(rig.viewer.reports, packets[n]) for n in order] == [
        opened(peer, packets[n]) for n in order
    ]


def opened(by: SrtpReceiver | ViewerReports, packet: bytes) -> bytes | str:
    try:
        return by.rtcp(packet)
    except Rejected as error:
        return error.cause


ssrcs = st.sampled_from([VIDEO.ssrc, AUDIO.ssrc, VIDEO.rtx_ssrc, 0])
u32 = st.integers(0, (1 << 32) - 1)
blocks = st.builds(
    ReceptionReport, u32, ssrcs, st.integers(0, 255), st.just(0), u32, u32, st.just(0), st.just(0)
)
receiver_reports = st.builds(
    lambda ssrc, some: build_receiver_report(ssrc, some, "c"), u32, st.lists(blocks, max_size=31)
)
rembs = st.builds(lambda bps: build_remb(1, bps, [2]), st.integers(0, 1 << 40))
reports_only = st.one_of(receiver_reports, rembs, st.just(build_sdes(3, "name")))
others = st.one_of(
    st.builds(lambda lost: build_nack(1, 2, lost), st.lists(st.integers(0, 65_535), min_size=1)),
    st.just(build_pli(1, 2)),
    st.binary(min_size=1, max_size=40),
)
compounds = st.one_of(
    st.lists(reports_only, min_size=1, max_size=3),
    st.lists(st.one_of(reports_only, others), min_size=1, max_size=4),
    st.lists(st.binary(min_size=8, max_size=60), min_size=1, max_size=1),
).map(b"".join)


def expected(events: Sequence[RtcpEvent], ssrc: int) -> Reported:
    """What the reports of a datagram come to, by the parser of everything else."""
    mine = [e for e in events if isinstance(e, ReceptionReport) and e.ssrc == ssrc]
    rates = [e.bitrate for e in events if isinstance(e, Remb)]
    worst = max((e.fraction_lost for e in mine), default=0) / 256
    jitter = mine[-1].jitter if mine else 0
    return Reported(len(mine), worst, jitter, None, rates[-1] if rates else None)


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(plain=compounds, video=st.booleans())
def test_what_is_taken_is_what_the_parser_reads(rig: Rig, plain: bytes, video: bool) -> None:
    if not 8 <= len(plain) <= 1400 or not (plain[0] >> 6 == 2 and 192 <= plain[1] <= 223):
        return
    rig.join(GCM)
    sealed = rig.sender.rtcp(plain)
    taken, rest = rig.receive(sealed)
    heard = rig.viewer.reports.take(video=video)
    if not taken:
        assert (rest, heard) == ([sealed], NOTHING)
        assert rig.viewer.reports.rtcp(sealed) == plain
        return
    events = parse_rtcp(plain)
    assert all(isinstance(event, ReceptionReport | Remb) for event in events)
    assert heard == expected(events, (VIDEO if video else AUDIO).ssrc)


@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
@given(parts=st.lists(reports_only, min_size=1, max_size=3))
def test_every_compound_of_reports_alone_is_taken(rig: Rig, parts: list[bytes]) -> None:
    plain = b"".join(parts)
    if len(plain) <= 1400:
        rig.join(GCM)
        assert rig.receive(rig.sender.rtcp(plain)) == (1, [])


def test_ipv6_sources_are_told_apart() -> None:
    with (
        Kernel(shards=1) as kernel,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours,
    ):
        far.bind(("::1", 0))
        ours.bind(("::1", 0))
        keys = SrtpKeys(GCM, b"a" * 16, b"b" * 12, b"c" * 16, b"d" * 12)
        path = Path(ours.fileno(), far.getsockname()[:2])
        viewer = kernel.add_viewer(keys, path, (VIDEO, AUDIO), cname="livepath")
        far.sendto(SrtpSender(mirrored(keys)).rtcp(report(0.5)), ours.getsockname()[:2])
        far.sendto(b"else", ours.getsockname()[:2])
        found = kernel.intake().receive(ours.fileno(), NOW)
        assert found == (1, [(b"else", far.getsockname()[:2])])
        assert viewer.reports.take(video=True).worst_lost == 0.5


class Watcher(Recorder):
    """A handler whose kernel opens what it sends."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel

    def peer_connected(self, keys: SrtpKeys, path: Path) -> RtcpOpener:
        self.viewer = self.kernel.add_viewer(keys, path, (VIDEO, AUDIO), cname="livepath")
        super().peer_connected(keys, path)
        return self.viewer.reports


@pytest.mark.usefixtures("every_wire_is_closed")
async def test_rfc7675_a_viewer_whose_reports_the_kernel_takes_is_heard(kernel: Kernel) -> None:
    clock = [S]
    mux = Mux(["127.0.0.1"], 0, tcp=False, now=lambda: clock[0])
    mux.intake = kernel.intake()
    async with running(mux):
        watcher = Watcher(kernel)
        client, peer, _ = await connected(mux, await Wire.udp(server_of(mux)), recorder=watcher)
        client.answers = False  # nothing but its reports speaks for it
        for _ in range(4):
            clock[0] += 10 * S
            client.send_rtcp(RECEIVER_REPORT)
            await until(lambda: watcher.viewer.reports.heard_ns == clock[0])
            peer.poll(clock[0])
            assert not peer.closed
        assert watcher.rtcp == []
        asks = RECEIVER_REPORT + build_pli(1, VIDEO.ssrc)
        again = client.send_rtcp(asks)
        client.wire.send(again)
        await until(lambda: mux.counters["dropped-rtcp-replayed"] == 1)
        assert watcher.rtcp == [asks]
        clock[0] += 16 * S
        peer.poll(clock[0])
        assert watcher.reason == "consent-expired"
        client.close()
