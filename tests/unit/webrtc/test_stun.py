"""STUN binding messages; test names carry the RFC's sections. aioice is the independent reader."""

import struct

import pytest
from aioice import stun as reference
from hypothesis import example, given
from hypothesis import strategies as st

from hotpath.webrtc import stun
from hotpath.webrtc.errors import StunError
from hotpath.webrtc.stun import Kind

KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
RFC5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RFC5769_RESPONSE_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RFC5769_RESPONSE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)


def check(**changes: object) -> bytes:
    made = reference.Message(reference.Method.BINDING, reference.Class.REQUEST, TRANSACTION)
    made.attributes["USERNAME"] = "here:there"
    made.attributes["PRIORITY"] = 42
    made.attributes["ICE-CONTROLLING"] = 7
    made.attributes.update(changes)
    made.add_message_integrity(KEY)
    return bytes(made)


def unsealed(*attributes: tuple[int, bytes]) -> bytes:
    body = b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )
    return struct.pack("!HHI", 1, len(body), stun.COOKIE) + TRANSACTION + body


def test_rfc5769_2_1_sample_request() -> None:
    message = stun.parse(RFC5769_REQUEST)
    assert message.kind is Kind.REQUEST
    assert message.local_ufrag == "evtj"
    assert message.priority == 0x6E0001FF
    assert message.controlled == 0x932FF9B151263B36
    assert stun.verify(RFC5769_REQUEST, message, KEY)
    assert not stun.verify(RFC5769_REQUEST, message, b"another password")


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (RFC5769_RESPONSE_V4, ("192.0.2.1", 32853)),
        (RFC5769_RESPONSE_V6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_rfc5769_2_2_and_2_3_sample_responses(data: bytes, address: tuple[str, int]) -> None:
    message = stun.parse(data)
    assert message.kind is Kind.RESPONSE
    assert message.mapped == address
    assert stun.verify(data, message, KEY)


@pytest.mark.parametrize("address", [("203.0.113.9", 4711), ("2001:db8::9", 4711)])
def test_rfc8489_14_2_response_tells_the_source_and_is_no_larger(address: tuple[str, int]) -> None:
    request = check()
    made = stun.response(stun.parse(request), address, KEY)
    read = reference.parse_message(made)
    assert read.check_message_integrity(KEY)
    assert read.attributes["XOR-MAPPED-ADDRESS"] == address
    assert read.transaction_id == TRANSACTION
    assert len(made) <= len(request)


def test_rfc8489_14_2_a_zone_is_not_sent() -> None:
    made = stun.response(stun.parse(check()), ("fe80::1%eth0", 9), KEY)
    assert stun.parse(made).mapped == ("fe80::1", 9)


def test_rfc8445_7_2_our_own_check() -> None:
    made = stun.request(
        TRANSACTION, "there:here", KEY, priority=1, tie_breaker=5, use_candidate=True
    )
    read = reference.parse_message(made)
    assert read.check_message_integrity(KEY)
    assert read.attributes["USERNAME"] == "there:here"
    assert read.attributes["ICE-CONTROLLED"] == 5
    assert "USE-CANDIDATE" in read.attributes


@pytest.mark.parametrize("code", [420, 487])
def test_rfc8489_14_8_errors(code: int) -> None:
    request = stun.parse(check())
    request.unknown = (0x7777,)
    made = stun.error(request, code, KEY)
    assert stun.parse(made).error == code
    if code == 487:
        assert reference.parse_message(made).check_message_integrity(KEY)


def test_rfc8489_6_3_1_unknown_required_attributes_are_listed() -> None:
    assert stun.parse(unsealed((0x7777, b"x"), (0xC057, b"y"))).unknown == (0x7777,)


def test_rfc8489_14_5_attributes_behind_integrity_are_ignored() -> None:
    request = bytearray(check())[:-8]  # without FINGERPRINT
    request += struct.pack("!HH", stun.USE_CANDIDATE, 0)
    request[2:4] = (len(request) - 20).to_bytes(2, "big")
    message = stun.parse(bytes(request))
    assert not message.use_candidate
    assert stun.verify(bytes(request), message, KEY)


def test_rfc8489_14_5_no_integrity_is_not_authentic() -> None:
    data = unsealed((stun.USERNAME, b"a:b"))
    assert not stun.verify(data, stun.parse(data), KEY)


def test_rfc8489_14_only_the_first_of_an_attribute_counts() -> None:
    data = unsealed((stun.USERNAME, b"first:x"), (stun.USERNAME, b"second:x"))
    assert stun.parse(data).local_ufrag == "first"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        RFC5769_REQUEST[:19],
        RFC5769_REQUEST[:-1],
        RFC5769_REQUEST + b"\0\0\0\0",
        b"\x00\x03" + RFC5769_REQUEST[2:],  # not the Binding method
        RFC5769_REQUEST[:4] + b"\0\0\0\0" + RFC5769_REQUEST[8:],  # no magic cookie
        RFC5769_REQUEST[:-1] + b"\0",  # FINGERPRINT
        unsealed((stun.MESSAGE_INTEGRITY, b"short")),
        unsealed((stun.PRIORITY, b"12345")),
        unsealed((stun.USE_CANDIDATE, b"x")),
        unsealed((stun.USERNAME, b"u" * 514)),
        unsealed((stun.XOR_MAPPED_ADDRESS, b"\0\3aabbbb")),
        unsealed((stun.FINGERPRINT, b"1234"), (stun.PRIORITY, b"1234")),
        unsealed((stun.USERNAME, b""))[:-1] + b"\5",  # reaches beyond the message
        unsealed((stun.USERNAME, b"a" * 1600)),
    ],
)
def test_rfc8489_6_3_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(StunError):
        stun.parse(data)


@given(st.binary(max_size=200))
@example(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
def test_any_bytes_give_a_message_or_an_error(data: bytes) -> None:
    framed = data
    for candidate in (data, struct.pack("!HHI", 1, len(framed) & ~3, stun.COOKIE) + data):
        try:
            message = stun.parse(candidate)
        except StunError:
            continue
        assert not stun.verify(candidate, message, KEY)


@given(st.integers(0, len(RFC5769_REQUEST) - 9), st.integers(1, 255))
def test_no_flipped_byte_stays_authentic(at: int, flip: int) -> None:
    data = bytearray(RFC5769_REQUEST)
    data[at] ^= flip
    try:
        message = stun.parse(bytes(data))
    except StunError:
        return
    assert not stun.verify(bytes(data), message, KEY)
