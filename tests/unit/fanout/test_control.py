"""The control channel: bounded, in order, one reader, and ended by closing."""

import asyncio
from contextlib import aclosing

from hotpath.fanout.control import KEEP_ALIVE, MAX_QUEUED, Channel, ControlEvent


async def rest_of(channel: Channel) -> list[bytes]:
    async with aclosing(channel.stream(30)) as stream:
        return [chunk async for chunk in stream][1:]


def test_an_event_is_one_line_of_json() -> None:
    event = ControlEvent("move", {"url": "https://b.example/whep", "why": "a\nb"})
    assert event.encoded() == (
        b'event: move\ndata: {"url":"https://b.example/whep","why":"a\\nb"}\n\n'
    )


async def test_what_came_before_the_reader_and_before_the_close_is_delivered() -> None:
    channel = Channel()
    channel.put(ControlEvent("drain"))
    channel.put(ControlEvent("ended"))
    channel.close()
    channel.put(ControlEvent("late"))
    assert await rest_of(channel) == [
        b"event: drain\ndata: {}\n\n",
        b"event: ended\ndata: {}\n\n",
    ]


async def test_the_oldest_go_when_nobody_reads() -> None:
    channel = Channel()
    for number in range(MAX_QUEUED + 5):
        channel.put(ControlEvent("marker", {"n": number}))
    channel.close()
    chunks = await rest_of(channel)
    assert len(chunks) == MAX_QUEUED
    assert chunks[0] == b'event: marker\ndata: {"n":5}\n\n'
    assert channel.dropped == 5


async def test_silence_is_kept_alive() -> None:
    channel = Channel()
    async with aclosing(channel.stream(0.01)) as stream:
        assert await anext(stream) == b"retry: 2000\n\n"
        assert await anext(stream) == KEEP_ALIVE
        channel.put(ControlEvent("drain"))
        assert await anext(stream) == b"event: drain\ndata: {}\n\n"


async def test_a_new_reader_takes_the_place_of_the_old_one() -> None:
    channel = Channel()
    first = asyncio.ensure_future(rest_of(channel))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(rest_of(channel))
    assert await first == []
    channel.put(ControlEvent("ended"))
    channel.close()
    assert await second == [b"event: ended\ndata: {}\n\n"]


async def test_a_reader_is_reminded_before_it_gets_what_is_queued() -> None:
    channel = Channel()
    channel.put(ControlEvent("drain"))
    channel.close()
    reminders = [ControlEvent("marker", {"id": "mk_1"})]
    async with aclosing(channel.stream(30, lambda: reminders)) as stream:
        assert [chunk async for chunk in stream] == [
            b'retry: 2000\n\nevent: marker\ndata: {"id":"mk_1"}\n\n',
            b"event: drain\ndata: {}\n\n",
        ]
