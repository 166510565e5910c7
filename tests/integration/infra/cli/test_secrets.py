"""`livepath secrets` against an API on a real socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, Deployment

pytestmark = pytest.mark.integration


@pytest.fixture
def terminal(served: str, tmp_path: Path) -> Terminal:
    return Terminal("secrets", served, KEY, tmp_path)


@pytest.fixture
async def api(deployment: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    async with deployment.client(KEY) as client:
        yield client


async def test_a_secret_is_made_listed_and_retired(
    terminal: Terminal, api: httpx2.AsyncClient
) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    made = await terminal.lines("create")
    assert made[1].split()[:3] == ["k2", "yes", "0"]
    listed = [line.split()[:3] for line in (await terminal.lines("ls"))[1:]]
    assert listed == [["k2", "yes", "0"], ["k1", "1", "2030-03-17T17:46:40Z"]]
    refused = await terminal.run("retire", "k1")
    assert refused.exit_code == 1
    assert event in refused.output
    assert "rotate-key" in refused.output
    await api.post(f"/v1/events/{event}/rotate-key")
    assert await terminal.lines("retire", "k1") == ["k1: retired"]
    (left,) = json.loads((await terminal.run("ls", "--json")).output)
    assert (left["kid"], left["open_events"]) == ("k2", 1)


async def test_programs_read_a_line_for_each(terminal: Terminal) -> None:
    for _ in range(2):
        assert json.loads((await terminal.run("create", "--json")).output)["signs"]
    gone = [json.loads(line) for line in await terminal.lines("retire", "k1", "k2", "--json")]
    assert [one["kid"] for one in gone] == ["k1", "k2"]
