"""A name leads to checked addresses only, once for each connection; URLs come in many forms."""

import contextlib
import socket
from collections.abc import AsyncIterator, Iterable, Sequence

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.webhooks.guard import (
    MAX_URL,
    Allowed,
    EndpointRefused,
    Guard,
    GuardedNetwork,
)

PUBLIC, INNER = "93.184.215.14", "10.0.0.7"


class Names:
    """A resolver that answers from a list, then from the next one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not found:
            raise socket.gaierror("no such name")
        return found


class Network(httpcore2.AsyncNetworkBackend):
    """Notes where connections go; those to `down` fail."""

    def __init__(self, *down: str) -> None:
        self.reached: list[str] = []
        self._down = down

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.reached.append(host)
        if host in self._down:
            raise httpcore2.ConnectError("refused")
        return httpcore2.AsyncNetworkStream()


@pytest.fixture
async def guards() -> AsyncIterator[list[Guard]]:
    made: list[Guard] = []
    yield made
    for guard in made:
        guard.close()


def guarded(guards: list[Guard], *answers: Sequence[str], **allowed: bool) -> Guard:
    guards.append(Guard(Allowed(**allowed), Names(*answers)))
    return guards[-1]


async def test_the_connection_goes_to_the_address_that_was_checked(guards: list[Guard]) -> None:
    names = Names([PUBLIC], [INNER])
    guards.append(Guard(Allowed(), names))
    network = Network()
    connecting = GuardedNetwork(guards[0], network)
    await connecting.connect_tcp("rebinding.example", 443)
    assert network.reached == [PUBLIC]
    assert names.asked == ["rebinding.example"]
    # The name means something else now, and that is seen before anything is sent.
    with pytest.raises(EndpointRefused, match=r"10\.0\.0\.7"):
        await connecting.connect_tcp("rebinding.example", 443)
    assert network.reached == [PUBLIC]


async def test_one_bad_address_among_good_ones_is_enough(guards: list[Guard]) -> None:
    network = Network()
    connecting = GuardedNetwork(guarded(guards, [PUBLIC, INNER]), network)
    with pytest.raises(EndpointRefused, match="private"):
        await connecting.connect_tcp("mixed.example", 443)
    assert network.reached == []


async def test_the_next_address_is_tried_when_one_does_not_answer(guards: list[Guard]) -> None:
    network = Network("1.1.1.1")
    connecting = GuardedNetwork(guarded(guards, ["1.1.1.1", "1.0.0.1"]), network)
    await connecting.connect_tcp("two.example", 443)
    assert network.reached == ["1.1.1.1", "1.0.0.1"]
    network = Network("1.1.1.1", "1.0.0.1")
    connecting = GuardedNetwork(guarded(guards, ["1.1.1.1", "1.0.0.1"]), network)
    with pytest.raises(httpcore2.ConnectError):
        await connecting.connect_tcp("two.example", 443)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"),
        *("169.254.169.254", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "0", "0.0.0.0"),
        *("127。0。0。1", "①②⑦.⓪.⓪.①"),
    ],
)
async def test_no_way_to_write_an_inner_address_gets_through(
    guards: list[Guard], host: str
) -> None:
    guards.append(Guard(Allowed(http=True)))
    with pytest.raises(EndpointRefused):
        await guards[0].check(f"http://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com/x", "http://example.com/", "ftp://example.com/"),
        *("file:///etc/passwd", "https://", "https:///x", "https://user:pw@example.com/"),
        *("https://user@example.com/", "https://example.com/#x", "https://exa mple.com/"),
        *("https://example.com:99999/", "https://[::1/", "gopher://example.com/", "https://\x00/"),
        "https://example.com/" + "x" * MAX_URL,
    ],
)
async def test_urls_that_cannot_be_used(guards: list[Guard], url: str) -> None:
    with pytest.raises(EndpointRefused) as refused:
        await guarded(guards, [PUBLIC]).check(url)
    assert refused.value.fix


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,20}(:\d{0,6})?/.{0,9}"))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    guard = Guard(Allowed(http=True))
    with contextlib.closing(guard), contextlib.suppress(EndpointRefused):
        assert guard.parse(text).raw_host.isascii()


async def test_permissions(guards: list[Guard]) -> None:
    await guarded(guards, [PUBLIC]).check("https://example.com:8443/hook?x=1")
    await guarded(guards, [PUBLIC], http=True).check("http://example.com/hook")
    await guarded(guards, [INNER], private=True).check("https://inner.example/")
    with pytest.raises(EndpointRefused, match="metadata"):
        await guarded(guards, ["169.254.169.254"], private=True).check("https://inner.example/")


async def test_a_name_without_an_address(guards: list[Guard]) -> None:
    with pytest.raises(EndpointRefused, match="no address"):
        await guarded(guards, []).check("https://nowhere.example/")
