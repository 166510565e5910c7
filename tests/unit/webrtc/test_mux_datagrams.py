"""The mux's datagram entry against anything a network may bring, without a network."""

import struct
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotpath.webrtc import certificate, dtls, stun
from hotpath.webrtc.dtls import DtlsEngine, Fingerprint, Step
from hotpath.webrtc.handshake import Work
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.path import Path
from hotpath.webrtc.peer import Peer
from tests.support.silent import Silent

CLIENT, OTHER, STRANGER = ("192.0.2.1", 1000), ("192.0.2.2", 2000), ("203.0.113.1", 666)
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
S = 1_000_000_000
_numbers = count(1)


class DryMux(Mux):
    """Sends into a list and steps handshakes at once."""

    def __init__(self) -> None:
        self.time = S
        super().__init__(["127.0.0.1"], 0, tcp=False, now=lambda: self.time)
        self.sent: list[tuple[Path, bytes]] = []
        (self.fd,) = self._udp

    def send(self, path: Path, data: bytes) -> None:
        self.sent.append((path, data))

    def submit(self, work: Work, done: Callable[[Step], None]) -> bool:
        done(work.run())
        return True

    def feed(self, data: bytes, source: tuple[str, int]) -> list[tuple[Path, bytes]]:
        self.sent.clear()
        self.receive(self.fd, data, source, self.time, 0)
        return list(self.sent)


@pytest.fixture
def mux() -> Iterator[DryMux]:
    made = DryMux()
    yield made
    made.close()


def join(mux: Mux, handler: Silent | None = None) -> Peer:
    peer = mux.open(handler or Silent(), role_hint="publisher")
    peer.accept("theirs", "p" * 24, FINGERPRINT, "server")
    return peer


def check(peer: Peer, *, key: str | None = None, nominate: bool = True) -> bytes:
    return stun.request(
        next(_numbers).to_bytes(12, "big"),
        f"{peer.ufrag}:theirs",
        (key or peer.pwd).encode(),
        priority=1,
        tie_breaker=1,
        controlling=True,
        use_candidate=nominate,
    )


def test_rfc7983_7_only_an_authentic_check_is_answered_and_only_to_its_sender(mux: DryMux) -> None:
    peer = join(mux)
    assert mux.feed(check(peer, key="wrong"), CLIENT) == []
    (where, ours), (path, reply) = mux.feed(check(peer), CLIENT)
    assert path == where == Path(mux.fd, CLIENT)
    assert len(reply) <= len(check(peer))
    assert stun.parse(ours).kind is stun.Kind.REQUEST
    assert len(ours) + len(reply) <= 3 * len(check(peer))
    assert mux.feed(b"\x16\xfe\xfd" + bytes(40), STRANGER) == []
    assert mux.counters["dropped-dtls-of-stranger"] == 1
    assert mux.counters["dropped-stun-forged"] == 1


def prove(mux: DryMux, peer: Peer, source: tuple[str, int]) -> list[tuple[Path, bytes]]:
    """The client checks from `source` and answers there; what that brings."""
    (_, ours), _ = mux.feed(check(peer), source)
    return mux.feed(stun.response(stun.parse(ours), ("127.0.0.1", 1), b"p" * 24), source)


def hello() -> bytes:
    made = dtls.context(certificate.generate())
    (datagram,) = DtlsEngine(made, "client", Fingerprint.parse(FINGERPRINT)).step([]).flight
    return datagram


def test_rfc9000_8_1_a_flight_waits_until_its_address_is_proven(mux: DryMux) -> None:
    """A flight is four times the ClientHello, and the session's owner can forge both."""
    peer = join(mux)
    mux.feed(check(peer), STRANGER)
    for _ in range(100):
        mux.time += S // 20
        assert mux.feed(hello(), STRANGER) == []
    sent = mux.sent = []
    for _ in range(100):
        mux.time += S // 20
        peer.poll(mux.time)
    assert all(stun.is_stun(data) for _, data in sent)
    flight = prove(mux, peer, CLIENT)
    assert {path.address for path, _ in flight} == {CLIENT}
    assert 500 < sum(len(data) for _, data in flight) < 1200  # once, however often it was asked for


def test_a_client_hello_of_ours_waits_until_its_address_is_proven(mux: DryMux) -> None:
    peer = mux.open(Silent(), role_hint="publisher")
    peer.accept("theirs", "p" * 24, FINGERPRINT, "client")
    assert all(stun.is_stun(data) for _, data in mux.feed(check(peer), STRANGER))
    ((path, data),) = prove(mux, peer, CLIENT)
    assert (path.address, data[0]) == (CLIENT, 22)


def test_a_request_to_nobody_is_dropped_without_parsing(mux: DryMux) -> None:
    peer = join(mux)
    data = check(peer)
    peer.close()
    assert mux.feed(data, CLIENT) == []
    assert mux.feed(data[:40], CLIENT) == []
    assert mux.counters["dropped-stun-unknown-user"] == 2


def test_addresses_of_one_peer_are_bounded(mux: DryMux) -> None:
    peer = join(mux)
    for port in range(100):
        mux.feed(check(peer, nominate=False), ("192.0.2.1", port))
    assert len(mux._table.by_address[mux.fd]) == len(peer.routes) <= 8
    peer.close()
    assert mux._table.by_address[mux.fd] == {}


def test_a_live_peer_keeps_its_address_and_a_silent_one_loses_it(mux: DryMux) -> None:
    first, second = join(mux), join(mux)
    routes = mux._table.by_address[mux.fd]
    mux.feed(check(first), CLIENT)
    mux.feed(check(second), CLIENT)
    assert routes[CLIENT][0] is first
    mux.time += 4 * S
    mux.feed(check(second), CLIENT)
    assert routes[CLIENT][0] is second
    first.close()
    assert routes[CLIENT][0] is second


def test_nothing_is_kept_for_a_closed_peer(mux: DryMux) -> None:
    peer = join(mux)
    mux.feed(check(peer), CLIENT)
    peer.restart("again", "q" * 24)
    peer.close()
    assert (mux._table.by_ufrag, mux._timers.idle, mux.peers) == ({}, True, 0)
    with pytest.raises(RuntimeError, match="closed"):
        peer.restart("again", "q" * 24)
    assert mux._table.by_ufrag == {}


def test_a_bug_in_a_peers_timers_closes_that_peer(
    mux: DryMux, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(peer: Peer, now: int) -> None:
        raise ValueError("a bug of this test")

    handler = Silent()
    peer = join(mux, handler)
    monkeypatch.setattr(Peer, "_apply", bug)
    peer.poll(mux.time)
    assert handler.reasons == ["handler-failed"]
    assert "a bug of this test" in caplog.text


def _stun_like(peer: Peer, body: bytes) -> bytes:
    user = f"{peer.ufrag}:theirs".encode()
    body = struct.pack("!HH", 6, len(user)) + user + bytes(-len(user) % 4) + body
    return struct.pack("!HHI", 1, len(body), stun.COOKIE) + bytes(12) + body


_ANY = st.one_of(
    st.binary(max_size=120),
    st.binary(max_size=60).map(lambda b: b"\x80\xc9" + b),
    st.binary(max_size=60).map(lambda b: b"\x80\x60" + b),
    st.builds(
        lambda kind, epoch, body: (
            bytes([kind, 0xFE, 0xFD, 0, epoch]) + bytes(6) + len(body).to_bytes(2, "big") + body
        ),
        st.sampled_from([20, 21, 22, 23]),
        st.integers(0, 1),
        st.binary(max_size=60),
    ),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(_ANY, st.sampled_from([CLIENT, OTHER, STRANGER])), max_size=12))
def test_unauthenticated_input_gets_no_reply_and_changes_nothing(
    datagrams: list[tuple[bytes, tuple[str, int]]],
) -> None:
    mux = DryMux()
    try:
        handler = Silent()
        peer = join(mux, handler)
        for data, source in datagrams:
            assert mux.feed(data, source) == []
            assert mux.feed(_stun_like(peer, data), source) == []
        assert (mux._table.by_address[mux.fd], handler.reasons) == ({}, [])
        assert peer.path is None
    finally:
        mux.close()


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(_ANY, max_size=12))
def test_a_checked_address_gets_no_more_than_it_sent(datagrams: list[bytes]) -> None:
    """Bytes that claim to be DTLS reach OpenSSL here; an alert is all they may cause."""
    mux = DryMux()
    try:
        peer = join(mux)
        prove(mux, peer, CLIENT)
        for data in datagrams:
            assert sum(len(d) for _, d in mux.feed(data, CLIENT)) <= max(len(data), 64)
            assert mux.feed(data, STRANGER) == []
    finally:
        mux.close()


@cache
def captured() -> tuple[bytes, ...]:
    """What a client sends until it is connected: its hello, and its last flight."""
    own, theirs = certificate.generate(), certificate.generate()
    client = DtlsEngine(dtls.context(theirs), "client", Fingerprint.parse(own.fingerprint))
    server = DtlsEngine(dtls.context(own), "server", Fingerprint.parse(theirs.fingerprint))
    first = client.step([]).flight
    return (*first, *client.step(server.step(first).flight).flight)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(captured()) - 1),
            st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 255)), max_size=4),
            st.integers(0, 1500),
        ),
        max_size=6,
    )
)
def test_a_bent_handshake_harms_its_own_peer_at_most(
    steps: list[tuple[int, list[tuple[int, int]], int]],
) -> None:
    mux = DryMux()
    try:
        bent, whole = join(mux), join(mux)
        prove(mux, bent, CLIENT)
        for which, flips, cut in steps:
            data = bytearray(captured()[which])
            for at, flip in flips:
                data[at % len(data)] ^= flip
            mux.time += S // 20
            sent = mux.feed(bytes(data[: cut or None]), CLIENT)
            assert {path.address for path, _ in sent} <= {CLIENT}
            assert sum(len(d) for _, d in sent) < 2500
        assert not whole.closed
        prove(mux, whole, OTHER)
        assert any(data[0] == 22 for _, data in mux.feed(hello(), OTHER))
        assert mux.counters["connected"] == 0
    finally:
        mux.close()
