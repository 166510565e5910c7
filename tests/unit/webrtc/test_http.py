"""What WHIP and WHEP ask of a request: a body of bounded size and time; and whose line it is."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from hotpath.webrtc.http import MAX_SDP_BYTES, HttpProblem, client_gone, line_of, sdp_body

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def request(receive: Receive) -> Request:
    headers = [(b"content-type", b"application/sdp")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_a_body_that_trickles_in_is_given_up() -> None:
    async def never_ends() -> MutableMapping[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"v", "more_body": True}

    with pytest.raises(HttpProblem) as caught:
        await sdp_body(request(never_ends), within_s=0.05)
    assert caught.value.status == 408


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> MutableMapping[str, Any]:
        nonlocal read
        read += 1024
        return {"type": "http.request", "body": b"a" * 1024, "more_body": True}

    with pytest.raises(HttpProblem) as caught:
        await sdp_body(request(endless))
    assert caught.value.status == 413
    assert read <= MAX_SDP_BYTES + 1024


async def test_a_client_that_leaves_meanwhile_is_no_error_of_this_node() -> None:
    async def leaves() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    left = request(leaves)
    with pytest.raises(ClientDisconnect) as caught:
        await sdp_body(left)
    assert (await client_gone(left, caught.value)).status_code == 400


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_line_is_an_ipv4_address_or_an_ipv6_network(host: str, line: str) -> None:
    assert line_of(host) == line
