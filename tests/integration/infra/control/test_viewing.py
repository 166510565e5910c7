"""How often the database is asked for the events that viewers name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control import viewing
from infra.control.problems import ApiProblem, NotFound, Unavailable
from infra.control.viewing import FRESH_MS, Viewing
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration
ADDRESS = "192.0.2.1"


class Gate:
    """A way into the database that is shut at first."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.opened = asyncio.Event()
        self.arrived = asyncio.Event()
        self.entries = 0
        self.away = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        self.entries += 1
        self.arrived.set()
        await self.opened.wait()
        if self.away:
            raise OSError("connection refused")
        async with self._deployment.databases.reading() as session:
            yield session


@pytest.fixture
def gate(deployment: Deployment) -> Gate:
    return Gate(deployment)


@pytest.fixture
def viewers(deployment: Deployment, gate: Gate) -> Viewing:
    return Viewing(gate, deployment.clock)  # type: ignore[arg-type]


@pytest.fixture
async def event(api: httpx2.AsyncClient) -> str:
    answer = await api.post("/v1/events", json={"name": "x", "access": "public"})
    return str(answer.json()["id"])


def entering(viewers: Viewing, event: str) -> asyncio.Task[Any]:
    return asyncio.create_task(viewers.enter(event, "main", None, ADDRESS))


async def waiting(gate: Gate, *tasks: asyncio.Task[Any]) -> None:
    """The first of them is at the gate, and the others have come as far as they get."""
    await gate.arrived.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_who_asks_at_once_is_told_at_once(viewers: Viewing, gate: Gate, event: str) -> None:
    crowd = [entering(viewers, event) for _ in range(50)]
    strangers = [entering(viewers, "ev_absent") for _ in range(50)]
    await waiting(gate, *crowd, *strangers)
    gate.opened.set()
    assert all(admission.public for admission in await asyncio.gather(*crowd))
    refused = await asyncio.gather(*strangers, return_exceptions=True)
    assert all(isinstance(one, NotFound) for one in refused)
    assert gate.entries == 2


async def test_others_are_told_though_the_first_has_left(
    viewers: Viewing, gate: Gate, event: str
) -> None:
    first, second, third = (entering(viewers, event) for _ in range(3))
    await waiting(gate, first, second, third)
    first.cancel()
    await asyncio.wait([first])
    gate.opened.set()
    assert (await second).public
    assert (await third).public
    assert (first.cancelled(), gate.entries) == (True, 2)


async def test_an_outage_is_told_to_all_and_not_remembered(
    viewers: Viewing, gate: Gate, event: str
) -> None:
    gate.away = True
    crowd = [entering(viewers, event) for _ in range(5)]
    await waiting(gate, *crowd)
    gate.opened.set()
    refused = await asyncio.gather(*crowd, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in refused)
    assert gate.entries == 1
    gate.away = False
    assert (await entering(viewers, event)).public


async def test_what_is_not_there_is_asked_for_once_in_two_seconds(
    deployment: Deployment, viewers: Viewing, gate: Gate, api: httpx2.AsyncClient
) -> None:
    gate.opened.set()
    draft = await api.post("/v1/events", json={"name": "x", "access": "public", "draft": True})
    event = str(draft.json()["id"])
    for _ in range(3):
        with pytest.raises(NotFound):
            await entering(viewers, event)
    assert gate.entries == 1
    answer = await api.post(f"/v1/events/{event}/schedule")
    assert answer.status_code == 200, answer.text
    deployment.now_ms += FRESH_MS
    assert (await entering(viewers, event)).public


async def test_names_that_are_made_up_push_out_nothing(
    viewers: Viewing, gate: Gate, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "KNOWN", 3)
    gate.opened.set()
    await entering(viewers, event)
    for number in range(10):
        with pytest.raises(ApiProblem):
            await entering(viewers, f"ev_{number}")
    assert gate.entries == 11
    await entering(viewers, event)
    with pytest.raises(NotFound):
        await entering(viewers, "ev_9")
    assert gate.entries == 11
    # It was the first to be forgotten.
    with pytest.raises(NotFound):
        await entering(viewers, "ev_0")
    assert gate.entries == 12
