"""The network that the impairment tests stand on: what it does is what it was asked for."""

import itertools
import socket
import statistics
import time

import pytest

from tests.support.network import (
    CLEAN,
    MILLISECOND,
    Conditions,
    Impairment,
    UdpRelay,
    steady,
    through,
)

PACKETS = [b"%05d" % n for n in range(20_000)]


def numbers(out: list[tuple[int, bytes]]) -> list[int]:
    return [int(data) for _, data in out]


def longest_runs(lost: list[int]) -> list[int]:
    runs, run = [], 1
    for before, after in itertools.pairwise(lost):
        if after == before + 1:
            run += 1
        else:
            runs.append(run)
            run = 1
    return [*runs, run]


def test_a_clean_wire_delivers_everything_at_once_and_in_order() -> None:
    out = steady(PACKETS, 1, Impairment(CLEAN))
    assert numbers(out) == list(range(len(PACKETS)))
    assert [at for at, _ in out] == [n * MILLISECOND for n in range(len(PACKETS))]


def test_the_same_seed_gives_the_same_fate_and_another_seed_another() -> None:
    bad = Conditions(loss=0.1, burst=3, delay_ms=5, jitter_ms=20, reorder=0.02, duplicate=0.01)
    first, again, other = (steady(PACKETS, 1, Impairment(bad, seed=s)) for s in ("a", "a", "b"))
    assert first == again
    assert first != other


def test_changing_the_delay_leaves_the_losses_as_they_were() -> None:
    near = steady(PACKETS, 1, Impairment(Conditions(loss=0.05), seed=3))
    far = steady(PACKETS, 1, Impairment(Conditions(loss=0.05, delay_ms=80, jitter_ms=9), seed=3))
    assert numbers(near) == numbers(far)


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 1), (0.3, 1), (0.05, 4), (0.2, 10)])
def test_losses_have_the_share_and_the_burst_length_asked_for(loss: float, burst: float) -> None:
    way = Impairment(Conditions(loss=loss, burst=burst), seed=1)
    kept = set(numbers(steady(PACKETS, 1, way)))
    lost = [n for n in range(len(PACKETS)) if n not in kept]
    assert way.counts.lost == len(lost)
    assert len(lost) / len(PACKETS) == pytest.approx(loss, rel=0.2)
    expected = burst if burst > 1 else 1 / (1 - loss)
    assert statistics.mean(longest_runs(lost)) == pytest.approx(expected, rel=0.25)


def test_total_loss_is_total() -> None:
    assert steady(PACKETS, 1, Impairment(Conditions(loss=1.0))) == []


def test_jitter_varies_the_delay_within_its_bounds_and_keeps_the_order() -> None:
    out = steady(PACKETS, 30, Impairment(Conditions(delay_ms=20, jitter_ms=50), seed=2))
    delays = [(at / MILLISECOND) - 30 * int(data) for at, data in out]
    assert numbers(out) == list(range(len(PACKETS)))
    assert min(delays) >= 20
    assert max(delays) <= 70
    assert statistics.mean(delays) == pytest.approx(45, abs=3)


def test_reordered_datagrams_are_overtaken() -> None:
    way = Impairment(Conditions(reorder=0.01, reorder_ms=5), seed=5)
    got = numbers(steady(PACKETS, 1, way))
    late = [n for n, before in zip(got[1:], got, strict=False) if n < before]
    assert sorted(got) == list(range(len(PACKETS)))
    assert way.counts.reordered == pytest.approx(200, rel=0.3)
    assert len(late) == pytest.approx(way.counts.reordered, rel=0.1)


def test_duplicates_arrive_twice() -> None:
    way = Impairment(Conditions(duplicate=0.5), seed=5)
    got = numbers(steady(PACKETS, 1, way))
    assert len(got) == len(PACKETS) + way.counts.duplicated
    assert set(got) == set(range(len(PACKETS)))


def test_a_bottleneck_paces_what_fits_and_drops_what_does_not() -> None:
    """1,000-byte packets at 8 Mbit/s offered to a link of 4 Mbit/s with a queue of 10."""
    way = Impairment(Conditions(rate_kbps=4000, queue_bytes=10_000))
    out = steady([b"%01000d" % n for n in range(1000)], 1, way)
    assert way.counts.overflowed == pytest.approx(490, abs=10)
    waits = [(at / MILLISECOND) - int(data) for at, data in out]
    assert max(waits) <= 22
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(out)]
    assert min(gaps) == 2 * MILLISECOND


@pytest.fixture
def server() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(5)
    return one


def client() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(5)
    return one


def test_the_relay_keeps_clients_apart(server: socket.socket) -> None:
    with server, client() as one, client() as two, UdpRelay(server.getsockname()) as relay:
        seen = {}
        for name, sender in ((b"one", one), (b"two", two)):
            sender.sendto(name, (relay.host, relay.port))
            data, seen[name] = server.recvfrom(100)
            assert data == name
        assert seen[b"one"] != seen[b"two"]
        server.sendto(b"for two", seen[b"two"])
        server.sendto(b"for one", seen[b"one"])
        assert one.recv(100) == b"for one"
        assert two.recv(100) == b"for two"
        assert relay.clients == 2


def test_the_relay_changes_under_way_and_counts(server: socket.socket) -> None:
    with server, client() as one, UdpRelay(server.getsockname()) as relay:
        at = (relay.host, relay.port)
        one.sendto(b"first", at)
        assert server.recv(100) == b"first"
        relay.change(CLEAN, up=Conditions(loss=1.0))
        for _ in range(10):
            one.sendto(b"lost", at)
        # Datagrams of one socket keep their order, so this one says that the others were seen.
        deadline = time.monotonic() + 5
        while relay.counts()[0].received < 11:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        relay.change(CLEAN)
        one.sendto(b"second", at)
        assert server.recv(100) == b"second"
        up, down = relay.counts()
        assert (up.received, up.lost, up.delivered, down.received) == (12, 10, 2, 0)


def test_a_client_can_change_its_address(server: socket.socket) -> None:
    with server, client() as one, UdpRelay(server.getsockname()) as relay:
        one.sendto(b"a", (relay.host, relay.port))
        _, before = server.recvfrom(100)
        relay.rebind()
        one.sendto(b"b", (relay.host, relay.port))
        _, after = server.recvfrom(100)
        assert before != after
        server.sendto(b"hello", after)
        assert one.recv(100) == b"hello"


def test_an_answer_leads_through_the_relay(server: socket.socket) -> None:
    sdp = (
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 99 10.0.0.1 5 typ host\r\n"
        "a=candidate:2 1 udp 98 ::1 5 typ host\r\na=end-of-candidates\r\n"
    )
    with server, UdpRelay(server.getsockname()) as relay:
        changed = through(relay, sdp)
        assert f"127.0.0.1 {relay.port} typ host" in changed
        assert changed.count("a=candidate") == 1
        assert changed.count("\r\n") == 3
