"""Preload hints: draft-pantos-hls-rfc8216bis 6.2.6 and 4.4.5.3."""

import asyncio

import pytest

from hotpath.media.unit import VIDEO
from tests.support.made_up import LIVE, MadeUp, Response

HINT = "#EXT-X-PRELOAD-HINT"


async def begun() -> MadeUp:
    programme = MadeUp()
    programme.segment(0)
    programme.part(VIDEO, 1, 0)
    return programme


async def hinted(programme: MadeUp) -> tuple[str, "asyncio.Task[Response]"]:
    """The hint of the moment and a request for it that waits."""
    hint = (await programme.found(VIDEO)).hint
    assert hint is not None
    waiting = programme.origin.waiting
    task = asyncio.create_task(programme.ask(LIVE + hint))
    while programme.origin.waiting == waiting:
        await asyncio.sleep(0)
    return hint, task


async def test_a_hint_can_be_asked_for_as_soon_as_it_is_listed() -> None:
    programme = await begun()
    hint, task = await hinted(programme)
    assert hint == "k1/video/s1.1.m4s"
    assert not task.done()
    programme.part(VIDEO, 1, 1)
    response = await task
    assert (response.status, response.body) == (200, b"s1.1;")
    assert response.headers["content-length"] == "5"


async def test_there_is_one_hint_of_a_type_and_it_becomes_the_next_part() -> None:
    programme = await begun()
    for part in range(1, 10):
        found = await programme.found(VIDEO)
        (hint,) = found.tags[HINT]
        assert "TYPE=PART" in hint
        assert "BYTERANGE" not in hint
        programme.part(VIDEO, 1, part)
        listed = (await programme.found(VIDEO)).open.parts
        assert listed[-1].uri == found.hint


async def test_a_range_of_a_hinted_part_waits_for_the_whole_part() -> None:
    programme = await begun()
    hint = (await programme.found(VIDEO)).hint
    task = asyncio.create_task(programme.ask(f"{LIVE}{hint}", range="bytes=1-9007199254740991"))
    while not programme.origin.waiting:
        await asyncio.sleep(0)
    programme.part(VIDEO, 1, 1)
    response = await task
    assert (response.status, response.body) == (206, b"1.1;")


@pytest.mark.parametrize("name", ["s1.2.m4s", "s2.0.m4s", "s1.m4s", "init-1.mp4", "s1.1.mp4"])
async def test_what_is_neither_there_nor_hinted_is_404_at_once(name: str) -> None:
    programme = await begun()
    response = await programme.ask(f"{LIVE}k1/video/{name}")
    assert response.status == 404
    assert response.headers["cache-control"] == "no-store"


async def test_a_hint_that_was_lost_is_404() -> None:
    programme = await begun()
    _, task = await hinted(programme)
    programme.gap(VIDEO, 1)
    assert (await task).status == 404


async def test_the_end_leaves_no_hint_and_404_for_who_waits() -> None:
    programme = await begun()
    hint, task = await hinted(programme)
    programme.live.end(final=True)
    assert (await task).status == 404
    found = await programme.found(VIDEO)
    assert found.ended
    assert found.hint is None
    assert (await programme.ask(LIVE + hint)).status == 404
