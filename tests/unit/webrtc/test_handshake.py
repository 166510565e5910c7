"""DTLS-SRTP between two engines in memory, over a seeded network that loses, doubles and swaps."""

import heapq
import random
from itertools import count

import pytest
from cryptography.hazmat.primitives import hashes

from hotpath.webrtc import certificate, dtls
from hotpath.webrtc.certificate import Certificate
from hotpath.webrtc.dtls import DtlsEngine, DtlsRole, Fingerprint
from hotpath.webrtc.dtls_records import MAX_DATAGRAM, carries_handshake
from hotpath.webrtc.errors import DtlsError
from hotpath.webrtc.handshake import MAX_WAITING, Handshake, Tail
from hotpath.webrtc.srtp import SrtpProfile

MS = 1_000_000
SERVER, CLIENT = certificate.generate(), certificate.generate()
GCM, CM = SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AES128_CM_SHA1_80


class Side:
    """One end: a handshake, then its tail."""

    def __init__(
        self,
        role: DtlsRole,
        own: Certificate,
        expected: str,
        profiles: tuple[SrtpProfile, ...] = (GCM, CM),
    ) -> None:
        engine = DtlsEngine(dtls.context(own, profiles), role, Fingerprint.parse(expected))
        self.handshake = Handshake(engine, role)
        self.tail: Tail | None = None
        self.closed = False
        self.sizes: list[int] = []

    def receive(self, data: bytes, now: int) -> list[bytes]:
        if self.tail is not None:
            again = self.tail.receive(data, now)
            self.closed |= again is None
            return list(again or ())
        self.handshake.receive(data, now)
        return self.turn(now)

    def turn(self, now: int) -> list[bytes]:
        while (work := self.handshake.work()) is not None:
            self.handshake.finish(work, work.run(), now)
        out = self.handshake.poll(now)
        if self.tail is None:
            self.tail = self.handshake.tail()
        self.sizes += map(len, out)
        return out


class Network:
    """Delivers in 10 ms; each datagram may be lost, doubled or delayed into its successors."""

    def __init__(self, seed: int, loss: float = 0, double: float = 0, late: float = 0) -> None:
        self.random = random.Random(seed)
        self.loss, self.double, self.late = loss, double, late
        self.now = 0
        self._queue: list[tuple[int, int, int, bytes]] = []
        self._order = count()

    def send(self, to: int, datagrams: list[bytes]) -> None:
        for data in datagrams:
            for _ in range(2 if self.random.random() < self.double else 1):
                if self.random.random() >= self.loss:
                    delay = 10 * MS * (5 if self.random.random() < self.late else 1)
                    heapq.heappush(self._queue, (self.now + delay, next(self._order), to, data))

    def run(self, sides: tuple[Side, Side], until_ns: int = 60_000 * MS) -> None:
        for index, side in enumerate(sides):
            self.send(1 - index, side.turn(self.now))
        while self.now < until_ns:
            timers = [side.handshake.next_deadline() for side in sides]
            due = [t for t in timers if t is not None]
            if self._queue:
                due.append(self._queue[0][0])
            if not due:
                return
            self.now = max(self.now, min(due))
            while self._queue and self._queue[0][0] <= self.now:
                _, _, to, data = heapq.heappop(self._queue)
                self.send(1 - to, sides[to].receive(data, self.now))
            for index, side in enumerate(sides):
                self.send(1 - index, side.turn(self.now))


def pair(
    server_profiles: tuple[SrtpProfile, ...] = (GCM, CM),
    client_profiles: tuple[SrtpProfile, ...] = (GCM, CM),
    *,
    server_expects: str = CLIENT.fingerprint,
    client_expects: str = SERVER.fingerprint,
) -> tuple[Side, Side]:
    return (
        Side("server", SERVER, server_expects, server_profiles),
        Side("client", CLIENT, client_expects, client_profiles),
    )


def assert_keys_agree(server: Side, client: Side) -> SrtpProfile:
    ours, theirs = server.handshake.connected, client.handshake.connected
    assert ours is not None
    assert theirs is not None
    a, b = ours.keys, theirs.keys
    assert (a.local_key, a.local_salt) == (b.remote_key, b.remote_salt)
    assert (a.remote_key, a.remote_salt) == (b.local_key, b.local_salt)
    assert a.local_key != a.remote_key
    assert (len(a.local_key), len(a.local_salt)) == (16, a.profile.salt_length)
    assert a.profile is b.profile
    return a.profile


@pytest.mark.parametrize(
    ("server", "client", "chosen"),
    [((GCM, CM), (GCM, CM), GCM), ((GCM, CM), (CM, GCM), GCM), ((GCM, CM), (CM,), CM)],
)
def test_rfc5764_4_1_2_gcm_is_preferred_and_cm_accepted(
    server: tuple[SrtpProfile, ...], client: tuple[SrtpProfile, ...], chosen: SrtpProfile
) -> None:
    sides = pair(server, client)
    Network(0).run(sides)
    assert assert_keys_agree(*sides) is chosen


@pytest.mark.parametrize("seed", range(30))
def test_rfc6347_4_2_4_a_bad_network_only_delays(seed: int) -> None:
    sides = pair()
    network = Network(seed, loss=0.3, double=0.2, late=0.2)
    network.run(sides)
    assert_keys_agree(*sides)
    assert max(sides[0].sizes + sides[1].sizes) <= MAX_DATAGRAM


def test_a_lost_flight_is_resent_after_100_ms() -> None:
    server, client = pair()
    hello = client.turn(0)
    first = server.receive(hello[0], 0)
    assert server.turn(99 * MS) == []
    assert server.turn(100 * MS) == first
    assert server.turn(299 * MS) == []
    assert server.turn(300 * MS) == first


def test_a_peer_that_never_speaks_again_is_not_flooded() -> None:
    server, client = pair()
    flight = server.receive(client.turn(0)[0], 0)
    sent, now = 0, 0
    while (deadline := server.handshake.next_deadline()) is not None:
        now = deadline
        sent += len(server.turn(now))
    assert sent == 8 * len(flight)
    assert now < 10_000 * MS
    assert server.receive(client.turn(now)[0], now + 50 * MS) == flight


def test_a_repeated_client_hello_is_answered_from_the_cache_but_not_twice_at_once() -> None:
    server, client = pair()
    hello = client.turn(0)
    first = server.receive(hello[0], 0)
    assert server.receive(hello[0], 5 * MS) == []
    assert server.receive(client.turn(100 * MS)[0], 50 * MS) == first


def test_a_repeated_last_flight_of_the_client_gets_ours_again() -> None:
    server, client = pair()
    flight = server.receive(client.turn(0)[0], 0)
    finished: list[bytes] = []
    for data in flight:
        finished += client.receive(data, 10 * MS)
    lost: list[bytes] = []
    for data in finished:
        lost += server.receive(data, 20 * MS)
    assert server.tail is not None
    assert lost
    assert server.receive(finished[-1], 30 * MS) == lost
    assert server.receive(finished[-1], 31 * MS) == []
    for data in lost:
        client.receive(data, 40 * MS)
    assert_keys_agree(server, client)


def test_no_timer_runs_before_a_server_is_asked_nor_after_the_end() -> None:
    sides = pair()
    assert sides[0].handshake.next_deadline() is None
    Network(0).run(sides)
    assert [side.handshake.next_deadline() for side in sides] == [None, None]


@pytest.mark.parametrize("wrong", ["server", "client"])
def test_rfc8827_6_5_a_certificate_that_the_sdp_does_not_name_is_refused(wrong: str) -> None:
    stranger = certificate.generate().fingerprint
    expects = {f"{wrong}_expects": stranger}
    sides = pair(**expects)  # type: ignore[arg-type]
    Network(0).run(sides, 5_000 * MS)
    judge = sides[0 if wrong == "server" else 1]
    assert judge.handshake.error is not None
    assert judge.handshake.error.cause == "fingerprint"
    assert "SDP" in str(judge.handshake.error)
    assert judge.handshake.connected is None
    other = sides[1 if wrong == "server" else 0]
    assert other.handshake.connected is None
    assert other.handshake.error is not None
    assert other.handshake.error.cause == "alert"


@pytest.mark.parametrize("name", ["sha-256", "SHA-384", "sha-512"])
def test_rfc8122_5_fingerprints_of_other_hashes(name: str) -> None:
    algorithms = {
        "sha-256": hashes.SHA256(),
        "sha-384": hashes.SHA384(),
        "sha-512": hashes.SHA512(),
    }
    digest = CLIENT.x509.fingerprint(algorithms[name.lower()]).hex(":")
    sides = pair(server_expects=f"{name} {digest}")
    Network(0).run(sides)
    assert_keys_agree(*sides)


@pytest.mark.parametrize(
    "text", ["", "sha-1 AA:BB", "sha-256 ZZ", "sha-256 AA:BB", f"md5 {'AA:' * 15}AA"]
)
def test_rfc8122_5_a_fingerprint_that_cannot_be_used_says_so(text: str) -> None:
    with pytest.raises(DtlsError, match="fingerprint"):
        Fingerprint.parse(text)


def test_a_peer_without_srtp_is_told_apart() -> None:
    sides = pair()
    plain = dtls.context(CLIENT, (GCM,))
    plain.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
    engine = DtlsEngine(plain, "client", Fingerprint.parse(SERVER.fingerprint))
    sides[1].handshake = Handshake(engine, "client")
    Network(0).run(sides, 5_000 * MS)
    assert sides[0].handshake.error is not None
    assert sides[0].handshake.error.cause == "no-srtp"


def test_rfc6347_4_2_3_a_client_hello_of_two_datagrams_is_understood() -> None:
    """That of a browser with post-quantum key shares is larger than a datagram."""
    server, client = pair()
    (hello,) = client.turn(0)
    kind, body = hello[:13], hello[13:]
    message, content = body[:6], body[12:]  # type, length, message_seq; then offset and length
    for number, begin, end in ((0, 0, 90), (40, 90, len(content))):  # 1… are the client's own
        fragment = message + begin.to_bytes(3, "big") + (end - begin).to_bytes(3, "big")
        fragment += content[begin:end]
        head = kind[:5] + number.to_bytes(6, "big") + len(fragment).to_bytes(2, "big")
        flight = server.receive(head + fragment, 0)
        assert bool(flight) == (number == 40)
    for data in flight:
        for reply in client.receive(data, 0):
            for last in server.receive(reply, 0):
                client.receive(last, 0)
    assert_keys_agree(server, client)


@pytest.mark.parametrize("closer", [0, 1])
def test_rfc5246_7_2_1_close_notify_both_ways(closer: int) -> None:
    sides = pair()
    Network(0).run(sides)
    one, other = sides[closer], sides[1 - closer]
    assert one.tail is not None
    assert other.tail is not None
    alert = one.tail.close_notify()
    assert not carries_handshake(alert)
    assert other.tail.receive(alert, 0) is None
    assert other.tail.receive(b"", 0) == ()


def test_waiting_datagrams_are_bounded() -> None:
    server, client = pair()
    hello = client.turn(0)[0]
    server.handshake.receive(hello, 0)
    assert server.handshake.work() is not None  # a worker is at it and never comes back
    for _ in range(50):
        server.handshake.receive(hello, 0)
    assert server.handshake.dropped == 50 - MAX_WAITING
    assert server.handshake.work() is None


def test_a_step_that_no_worker_took_is_asked_for_again() -> None:
    server, client = pair()
    hello = client.turn(0)[0]
    server.handshake.receive(hello, 0)
    work = server.handshake.work()
    assert work is not None
    server.handshake.undo(work)
    assert server.receive(hello, 100 * MS) != []


@pytest.mark.parametrize("seed", range(5))
def test_garbage_between_flights_does_not_end_a_handshake(seed: int) -> None:
    """RFC 6347 4.1.2.7: invalid records are silently discarded."""
    sides = pair()
    noise = random.Random(seed)
    for side in sides:
        for _ in range(3):
            body = noise.randbytes(noise.randrange(1, 100))
            head = b"\x16\xfe\xfd\0\1" + noise.randbytes(6) + len(body).to_bytes(2, "big")
            side.handshake.receive(head + body, 0)
    Network(seed).run(sides)
    assert_keys_agree(*sides)
