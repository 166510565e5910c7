"""A listener goes on where it stood, whatever becomes of its connections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest

from infra.client import AsyncClient, Client, Retries, Unauthorized, UnexpectedAnswer, Unreachable
from infra.client.attempts import Answer
from infra.client.following import Following, Place
from infra.client.models import Message

Heard = httpx2.ServerSentEvent
LOST = httpx2.ReadError("lost")


def place(last: str | None = None, retries: Retries | None = None) -> Place:
    return Place(Following(last_event_id=last), retries or Retries(), "req_1")


def test_the_last_id_heard_is_where_the_next_connection_goes_on() -> None:
    standing = place()
    assert "Last-Event-ID" not in standing.headers
    assert standing.take(Heard(id="7", retry=2000)) is None
    message = standing.take(Heard("event.live", '{"id": "msg_1", "type": "event.live"}', "8"))
    assert message is not None
    assert (message.id, message.type, message.sequence) == ("msg_1", "event.live", "8")
    assert standing.headers["Last-Event-ID"] == "8"
    assert place("5").headers["Last-Event-ID"] == "5"


def test_a_gap_is_a_message_without_an_id() -> None:
    gap = place("3").take(Heard("stream.gap", "{}", ""))
    assert gap == Message(type="stream.gap", sequence="3")


@pytest.mark.parametrize("data", ["[]", "no json", '{"data": 1}'])
def test_what_is_no_message_is_told(data: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        place().take(Heard("event.live", data, "1"))


def test_the_end_of_a_stream_is_followed_by_a_pause_of_the_servers_choice() -> None:
    standing = place()
    standing.take(Heard(id="1", retry=2000))
    assert [standing.pause_s(None, chance) for chance in (0, 1)] == [1, 2]


def test_nobody_at_the_address_is_found_out_soon() -> None:
    standing = place(retries=Retries(attempts=3))
    assert standing.pause_s(LOST, 1) > 0
    assert standing.pause_s(LOST, 1) > 0
    with pytest.raises(Unreachable):
        standing.pause_s(LOST, 1)


def test_a_stream_that_was_heard_is_waited_for_over_a_restart() -> None:
    standing = place(retries=Retries(attempts=3, longest_s=8))
    standing.take(Heard(id="1"))
    pauses: list[float] = []
    with pytest.raises(Unreachable):
        pauses.extend(iter(lambda: standing.pause_s(LOST, 1), None))
    assert 880 < sum(pauses) < 900


def test_a_refusal_is_final_and_a_limit_is_waited_for() -> None:
    assert place().pause_s(Answer(429, {"retry-after": "3"}, b""), 0) == 3
    with pytest.raises(Unauthorized):
        place().pause_s(Answer(401, {}, b'{"title": "No"}'), 0)


def stream(*messages: str) -> httpx2.Response:
    text = "id: 4\nretry: 10\n\n: nothing\n\n" + "".join(
        f'event: event.live\nid: {one}\ndata: {{"id": "msg_{one}"}}\n\n' for one in messages
    )
    return httpx2.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


@pytest.fixture(params=["blocking", "awaited"])
def first_heard(request: pytest.FixtureRequest) -> Callable[..., list[str]]:
    """Follows over a scripted server; the ids of the first messages."""

    def blocking(transport: Any, count: int, **what: Any) -> list[str]:
        with Client("http://t", "k", transport=transport) as client:
            following: Iterator[Message] = client.stream(**what)
            return [next(following).id for _ in range(count)]

    async def awaited(transport: Any, count: int, **what: Any) -> list[str]:
        async with AsyncClient("http://t", "k", transport=transport) as client:
            following: AsyncIterator[Message] = client.stream(**what)
            return [(await anext(following)).id for _ in range(count)]

    if request.param == "blocking":
        return blocking
    return lambda *given, **what: asyncio.run(awaited(*given, **what))


def test_connections_follow_each_other(first_heard: Callable[..., list[str]]) -> None:
    seen: list[httpx2.Request] = []
    script = [stream("5", "6"), httpx2.Response(503), stream(), stream("7")]

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return script[len(seen) - 1]

    what = {"types": ["event.*", "job.dead"], "event": "ev_1", "last_event_id": "4"}
    transport = httpx2.MockTransport(answer)
    assert first_heard(transport, 3, **what) == ["msg_5", "msg_6", "msg_7"]
    assert [request.headers["last-event-id"] for request in seen] == ["4", "6", "6", "4"]
    assert dict(seen[0].url.params) == {"types": "event.*,job.dead", "event": "ev_1"}


def test_a_refused_listener_is_told(first_heard: Callable[..., list[str]]) -> None:
    refused = httpx2.Response(401, json={"title": "No valid API key"})
    with pytest.raises(Unauthorized, match="No valid API key"):
        first_heard(httpx2.MockTransport(lambda _: refused), 1)
