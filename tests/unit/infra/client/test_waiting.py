"""What is waited for comes, or cannot come any more, or takes too long."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import httpx2
import pytest

from infra.client import AsyncClient, Client, WaitedInVain
from infra.client.blocking import BlockingWire
from infra.client.events import has_come
from infra.client.jobs import has_succeeded
from infra.client.models import Clip, Event

CLIP = {
    "id": "clip_1", "job": "job_1", "mode": "exact", "title": None, "start": 1.5, "end": 2,
    "progress": 0, "error": None, "asset": None, "created_at": "2030-06-01T18:00:00Z",
    "finished_at": None,
}  # fmt: skip


def event(state: str) -> Event:
    known: dict[str, Any] = {"id": "ev_1", "state": state}
    return Event.model_construct(**known)


def clip(state: str) -> Clip:
    return Clip.model_validate({**CLIP, "state": state, "error": "the disk is full"})


@pytest.mark.parametrize(
    ("state", "wanted", "come"),
    [
        ("scheduled", {"live"}, False),
        ("live", {"live"}, True),
        ("reconnecting", {"live", "reconnecting"}, True),
        ("ended", {"archived"}, False),
        ("archived", {"ended"}, True),
        ("a state of next year", {"live"}, False),
    ],
)
def test_states_that_come(state: str, wanted: set[str], come: bool) -> None:
    assert has_come(event(state), frozenset(wanted)) is come


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("ended", "live"), ("archived", "live"), ("cancelled", "live"), ("cancelled", "archived")],
)
def test_states_that_never_come(state: str, wanted: str) -> None:
    with pytest.raises(WaitedInVain, match=f"is {state} and will never be"):
        has_come(event(state), frozenset({wanted}))


def test_a_clip_is_there_or_its_job_gave_up() -> None:
    assert [has_succeeded(clip(state)) for state in ("queued", "retrying", "succeeded")] == [
        False,
        False,
        True,
    ]
    with pytest.raises(WaitedInVain, match="dead: the disk is full"):
        has_succeeded(clip("dead"))


def told(states: Iterator[str]) -> httpx2.MockTransport:
    return httpx2.MockTransport(
        lambda _: httpx2.Response(200, json={**CLIP, "state": next(states)})
    )


def test_a_blocking_client_asks_until_it_is_there() -> None:
    pauses: list[float] = []
    states = iter(["queued", "running", "succeeded"])
    with Client("http://t", "k", transport=told(states)) as client:
        assert isinstance(client._wire, BlockingWire)
        client._wire._sleep = pauses.append
        seen: list[str] = []
        made = client.clips.wait(
            "ev_1", "clip_1", every_s=3, seen=lambda found: seen.append(found.state)
        )
    assert (made.state, made.start, pauses) == ("succeeded", 1.5, [3, 3])
    assert seen == ["queued", "running", "succeeded"]


async def test_an_awaited_client_asks_until_it_is_there() -> None:
    states = iter(["queued", "running", "succeeded"])
    async with AsyncClient("http://t", "k", transport=told(states)) as client:
        assert (await client.clips.wait("ev_1", "clip_1", every_s=0)).state == "succeeded"


async def test_what_looks_on_may_end_it() -> None:
    def look(found: Clip) -> None:
        raise WaitedInVain(f"{found.state} is bad enough")

    transport = told(repeat("retrying"))
    in_vain = pytest.raises(WaitedInVain, match="retrying is bad enough")
    with Client("http://t", "k", transport=transport) as client, in_vain:
        client.clips.wait("ev_1", "clip_1", seen=look)
    async with AsyncClient("http://t", "k", transport=transport) as one:
        with pytest.raises(WaitedInVain, match="retrying is bad enough"):
            await one.clips.wait("ev_1", "clip_1", seen=look)


async def test_it_ends_when_it_takes_too_long() -> None:
    transport = told(repeat("queued"))
    late = r"waited 0.01 s for clip clip_1"
    with Client("http://t", "k", transport=transport) as client:
        with pytest.raises(WaitedInVain, match=late):
            client.clips.wait("ev_1", "clip_1", timeout_s=0.01, every_s=1)
        with pytest.raises(ValueError, match="name a state"):
            client.events.wait_until("ev_1")
    async with AsyncClient("http://t", "k", transport=transport) as one:
        with pytest.raises(WaitedInVain, match=late):
            await one.clips.wait("ev_1", "clip_1", timeout_s=0.01, every_s=1)
