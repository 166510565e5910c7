"""Simple requests are read as any other parser reads them; the rest is left to one."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.head import MAX_HEAD, simple

PLAYER = (
    b"GET /t/a.b-c/live/acme/ev_1/main/video.m3u8?_HLS_msn=7&_HLS_part=2 HTTP/1.1\r\n"
    b"Host: example.com:8080\r\nAccept-Encoding: gzip, br\r\naccept: */*\r\n"
    b"Connection: keep-alive\r\nX-Empty:\r\n\r\n"
)


def with_line(line: bytes) -> bytes:
    return b"GET /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"


def test_what_a_player_sends() -> None:
    head = simple(PLAYER)
    assert head is not None
    method, path, query, fields = head
    assert (method, path) == ("GET", "/t/a.b-c/live/acme/ev_1/main/video.m3u8")
    assert query == "_HLS_msn=7&_HLS_part=2"
    assert fields.by_name == {
        b"host": b"example.com:8080",
        b"accept-encoding": b"gzip, br",
        b"accept": b"*/*",
        b"connection": b"keep-alive",
        b"x-empty": b"",
    }
    assert not fields.close


@pytest.mark.parametrize("value", [b"close", b"Close", b" close "])
def test_the_last_request_of_a_connection(value: bytes) -> None:
    head = simple(with_line(b"connection:" + value))
    assert head is not None
    assert head[3].close


def test_fields_of_one_name_are_one_list() -> None:
    head = simple(with_line(b"Range: bytes=0-1\r\nRANGE: bytes=4-5"))
    assert head is not None
    assert head[3].by_name[b"range"] == b"bytes=0-1, bytes=4-5"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /a HTTP/1.1\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",  # no host
        with_line(b"Host: y"),
        with_line(b"Accept: a")[:-1],
        with_line(b"Accept: a") + b"x",
        with_line(b"Accept: a") * 2,
        with_line(b"Accept: a").replace(b"GET", b"POST"),
        with_line(b"Accept: a").replace(b"GET", b"get"),
        with_line(b"Accept: a").replace(b"1.1", b"1.0"),
        with_line(b"Accept: a").replace(b"HTTP/1.1", b"HTTP/2.0"),
        with_line(b"Accept: a").replace(b"GET ", b"GET  "),
        with_line(b"Accept: a").replace(b"/a", b"http://x/a"),
        with_line(b"Accept: a").replace(b"/a", b"*"),
        with_line(b"Accept: a").replace(b"/a", b"/%61"),
        with_line(b"Accept: a").replace(b"/a", b"/a#b"),
        with_line(b"Accept: a").replace(b"/a", b"/\xc3\xa4"),
        with_line(b"Accept: a").replace(b"/a", b"/\x00"),
        with_line(b"Accept: a").replace(b"\r\n", b"\n"),
        with_line(b"Accept : a"),
        with_line(b"Accept"),
        with_line(b": a"),
        with_line(b" Accept: a"),
        with_line(b"Accept: a\r\n\tb"),
        with_line(b"Accept: a\nContent-Length: 3"),
        with_line(b"Accept: a\rb"),
        with_line(b"Accept: \x00"),
        with_line(b"Content-Length: 0"),
        with_line(b"Transfer-Encoding: chunked"),
        with_line(b"Expect: 100-continue"),
        with_line(b"Upgrade: h2c"),
        with_line(b"Connection: upgrade"),
        with_line(b"Connection: keep-alive, close"),
        with_line(b"Accept: " + b"a" * MAX_HEAD),
    ],
)
def test_everything_else_is_left_to_a_parser_for_all_of_http(data: bytes) -> None:
    assert simple(data) is None


PIECES = [
    *(
        b"GET",
        b"HEAD",
        b"POST",
        b" ",
        b"  ",
        b"\t",
        b"/",
        b"/a?b=c",
        b"*",
        b"HTTP/1.1",
        b"HTTP/1.0",
    ),
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"Host: x",
        b"Host",
        b":",
        b"Accept: a",
        b"\x00",
        b"\xff",
    ),
    *(b"Transfer-Encoding: chunked", b"Content-Length: 1", b"Connection: close", b"x"),
    b"GET / HTTP/1.1\r\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_no_other_parser_reads_what_is_taken_in_another_way(tail: bytes) -> None:
    for data in (tail, b"GET /a HTTP/1.1\r\nHost: x\r\n" + tail + b"\r\n\r\n"):
        head = simple(data)
        if head is None:
            continue
        method, path, query, fields = head
        other = h11.Connection(h11.SERVER)
        other.receive_data(data)
        request = other.next_event()
        assert isinstance(request, h11.Request)
        assert request.method.decode() == method
        assert request.target.decode().partition("?")[::2] == (path, query)
        found: dict[bytes, list[bytes]] = {}
        for name, value in request.headers:
            found.setdefault(name, []).append(value)
        assert {name: b", ".join(values) for name, values in found.items()} == fields.by_name
        assert isinstance(other.next_event(), h11.EndOfMessage)
        assert other.next_event() is h11.NEED_DATA or fields.close
        assert other.trailing_data == (b"", False)
