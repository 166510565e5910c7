"""DTLS records without OpenSSL: RFC 6347 4, RFC 5246 6, RFC 5288."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc.dtls_records import (
    AlertKeys,
    alert_keys,
    carries_handshake,
    datagrams,
    newest_message,
    records,
)

KEYS = AlertKeys(b"l" * 16, b"salt", b"r" * 16, b"pepp")
MIRROR = AlertKeys(b"r" * 16, b"pepp", b"l" * 16, b"salt")


def record(size: int, kind: int = 22, sequence: int = 0, epoch: int = 0) -> bytes:
    head = bytes([kind]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    return head + size.to_bytes(2, "big") + bytes(size)


def handshake(message: int) -> bytes:
    body = b"\x01\0\0\0" + message.to_bytes(2, "big") + bytes(6)
    return record(len(body))[:13] + body


def test_rfc6347_4_1_1_a_flight_is_cut_at_record_headers() -> None:
    sizes = [500, 500, 500, 1187, 10]
    flight = b"".join(record(size, sequence=n) for n, size in enumerate(sizes))
    cut = datagrams(flight)
    assert b"".join(cut) == flight
    assert [len(d) for d in cut] == [1026, 513, 1200, 23]
    assert [[r.sequence for r in records(d)] for d in cut] == [[0, 1], [2], [3], [4]]


def test_rfc6347_4_2_2_the_newest_message_of_a_datagram() -> None:
    assert newest_message(handshake(3) + handshake(4) + record(4, kind=20)) == 4
    assert newest_message(record(40, epoch=1)) == -1
    assert newest_message(b"") == -1


def test_rfc5246_7_2_1_close_notify_of_one_side_ends_the_other() -> None:
    sealed = KEYS.close_notify(1)
    assert MIRROR.closes(sealed)
    assert MIRROR.closes(record(30) + sealed)
    assert not KEYS.closes(sealed)


@pytest.mark.parametrize("at", range(len(KEYS.close_notify(7))))
def test_rfc5288_no_changed_byte_closes(at: int) -> None:
    sealed = bytearray(KEYS.close_notify(7))
    sealed[at] ^= 1
    assert not MIRROR.closes(bytes(sealed))


def test_rfc5246_6_3_both_roles_derive_the_same_block() -> None:
    client = alert_keys(b"m" * 48, b"c" * 32, b"s" * 32, client=True)
    server = alert_keys(b"m" * 48, b"c" * 32, b"s" * 32, client=False)
    assert server.closes(client.close_notify(1))
    assert client.closes(server.close_notify(1))
    assert "l" * 16 not in repr(KEYS)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    for framed in (data, record(len(data), kind=21, epoch=1)[:13] + data):
        found = list(records(framed))
        assert all(0 <= r.start < r.end <= len(framed) for r in found)
        assert b"".join(datagrams(framed)) == framed[: found[-1].end if found else 0]
        newest_message(framed)
        carries_handshake(framed)
        assert not KEYS.closes(framed)
