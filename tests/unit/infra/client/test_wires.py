"""Calls over both wires, against a server that answers as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from infra.client import AsyncClient, Client, Retries
from infra.client import errors as told
from infra.client.asynchronous import AwaitedWire
from infra.client.attempts import Attempts
from infra.client.blocking import BlockingWire

PROJECT = {"id": "p", "name": "P", "organisation": "o", "created_at": "2030-06-01T18:00:00Z"}
OK = httpx2.Response(200, json=PROJECT)
Scripted = httpx2.Response | Exception


@dataclass
class Server:
    """Answers one after the other; the last one for good."""

    script: list[Scripted]
    seen: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


class Both:
    """The two clients behind one face: pauses are noted in place of being waited for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pauses: list[float] = []
        self.server = Server([OK])

    def answering(self, *script: Scripted) -> "Both":
        self.server = Server(list(script))
        return self

    def do(self, what: Callable[[Any], Any], retries: Retries | None = None) -> Any:
        """What the client gives back; iterators as lists."""
        transport: Any = httpx2.MockTransport(self.server)
        if self.kind == "blocking":
            with Client("http://t", "lp_key", retries=retries, transport=transport) as client:
                assert isinstance(client._wire, BlockingWire)
                client._wire._sleep = self.pauses.append
                found = what(client)
                return list(found) if isinstance(found, Iterator) else found
        return asyncio.run(self._awaited(what, retries, transport))

    async def _awaited(self, what: Any, retries: Retries | None, transport: Any) -> Any:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        async with AsyncClient("http://t", "lp_key", retries=retries, transport=transport) as one:
            assert isinstance(one._wire, AwaitedWire)
            one._wire._sleep = sleep
            found = what(one)
            if isinstance(found, AsyncIterator):
                return [item async for item in found]
            assert isinstance(found, Awaitable)
            return await found


@pytest.fixture(params=["blocking", "awaited"])
def both(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


def refusal(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json={"title": "No", "detail": "d"}, headers=headers)


def test_a_result_is_typed_and_the_key_is_sent(both: Both) -> None:
    assert both.do(lambda client: client.projects.get("p")).name == "P"
    (request,) = both.server.seen
    assert request.headers["authorization"] == "Bearer lp_key"
    assert str(request.url) == "http://t/v1/projects/p"
    assert "lp_key" not in repr(request.headers)


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ConnectError("no"),
        httpx2.ReadTimeout("late"),
        httpx2.RemoteProtocolError("gone"),
        refusal(502),
        refusal(503),
        refusal(504),
    ],
    ids=lambda failure: getattr(failure, "status_code", type(failure).__name__),
)
def test_what_passes_is_tried_again_with_the_same_key(both: Both, failure: Scripted) -> None:
    made = both.answering(failure, failure, OK).do(lambda client: client.projects.create("P"))
    assert made.id == "p"
    assert len(both.pauses) == 2
    assert len({request.headers["idempotency-key"] for request in both.server.seen}) == 1
    assert len({request.headers["x-request-id"] for request in both.server.seen}) == 1
    assert [request.content for request in both.server.seen] == [b'{"name":"P"}'] * 3


def test_two_calls_have_two_keys(both: Both) -> None:
    both.do(lambda client: client.projects.create("P"))
    both.do(lambda client: client.projects.create("P"))
    first, second = (request.headers["idempotency-key"] for request in both.server.seen)
    assert first != second


def test_a_limit_is_waited_for_as_long_as_it_says(both: Both) -> None:
    limited = refusal(429, **{"Retry-After": "7"})
    both.answering(limited, OK).do(lambda client: client.projects.get("p"))
    (pause,) = both.pauses
    assert 7 <= pause < 8


def test_a_limit_beyond_the_time_is_told_at_once(both: Both) -> None:
    limited = refusal(429, **{"Retry-After": "70"})
    with pytest.raises(told.RateLimited) as caught:
        both.answering(limited).do(lambda client: client.projects.get("p"))
    assert caught.value.retry_after_s == 70
    assert both.pauses == []


def test_attempts_end(both: Both) -> None:
    with pytest.raises(told.Unavailable):
        both.answering(refusal(503)).do(
            lambda client: client.projects.get("p"), Retries(attempts=3)
        )
    assert len(both.server.seen) == 3
    with pytest.raises(told.Unreachable, match="request req_"):
        both.answering(httpx2.ConnectError("refused")).do(
            lambda client: client.projects.get("p"), Retries(attempts=1)
        )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500])
def test_a_final_answer_is_not_asked_for_again(both: Both, status: int) -> None:
    with pytest.raises(told.ApiError) as caught:
        both.answering(refusal(status)).do(lambda client: client.projects.create("P"))
    assert caught.value.status == status
    assert len(both.server.seen) == 1
    assert caught.value.request_id == both.server.seen[0].headers["x-request-id"]


@pytest.mark.parametrize(
    ("failure", "attempts"), [(httpx2.ReadError("lost"), 1), (httpx2.ConnectError("no"), 5)]
)
def test_a_change_that_goes_by_a_tag_is_not_repeated_once_it_may_have_been_made(
    both: Both, failure: Exception, attempts: int
) -> None:
    with pytest.raises(told.Unreachable):
        both.answering(failure).do(lambda client: client.events.cancel("e", if_match='"t"'))
    assert len(both.server.seen) == attempts


def test_pages_are_fetched_when_they_are_come_to(both: Both) -> None:
    first = httpx2.Response(200, json={"items": [PROJECT, PROJECT], "next": "c"})
    last = httpx2.Response(200, json={"items": [PROJECT], "next": None})
    found = both.answering(first, last).do(lambda client: client.projects.list(page_size=2))
    assert len(found) == 3
    assert [dict(request.url.params) for request in both.server.seen] == [
        {"limit": "2"},
        {"limit": "2", "after": "c"},
    ]


def test_the_second_page_waits_for_the_first_to_be_used_up() -> None:
    server = Server([httpx2.Response(200, json={"items": [PROJECT], "next": "c"})])
    with Client("http://t", "k", transport=httpx2.MockTransport(server)) as client:
        projects = client.projects.list()
        assert server.seen == []
        next(projects)
        assert len(server.seen) == 1


def test_a_redirect_is_no_answer(both: Both) -> None:
    away = httpx2.Response(302, headers={"Location": "http://elsewhere"})
    with pytest.raises(told.ApiError):
        both.answering(away).do(lambda client: client.projects.get("p"))
    assert len(both.server.seen) == 1


def test_a_key_of_an_organisation_names_its_project() -> None:
    server = Server([OK])
    transport = httpx2.MockTransport(server)
    with Client("http://t", "k", project="prj_1", transport=transport) as client:
        client.projects.get("p")
    assert server.seen[0].headers["livepath-project"] == "prj_1"


class Dripping(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """An answer of which a byte comes now and then, and never the last."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(0.002)
            yield b" "

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.002)
            yield b" "


def test_an_answer_that_never_ends_is_no_answer() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Dripping()))
    given: dict[str, Any] = {
        "timeout_s": 0.02, "retries": Retries(attempts=1), "transport": transport,
    }  # fmt: skip

    async def awaited() -> None:
        async with AsyncClient("http://t", "k", **given) as client:
            with pytest.raises(told.Unreachable, match="took too long"):
                await client.projects.get("p")

    late = pytest.raises(told.Unreachable, match="took too long")
    with Client("http://t", "k", **given) as client, late:
        client.projects.get("p")
    asyncio.run(asyncio.wait_for(awaited(), 4))


def test_an_attempt_takes_no_longer_than_what_is_left_of_the_call() -> None:
    attempts = Attempts(Retries(total_s=60), began_s=100, timeout_s=10)
    assert [attempts.left_s(now) for now in (100, 149, 155, 161)] == [10, 10, 5, 0.001]
