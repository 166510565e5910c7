"""The scripts in `examples/client` do what they say, against a real API."""

import asyncio
import runpy
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from infra.client import AsyncClient
from infra.lifecycle import Trigger
from infra.outbox.numbering import number
from infra.webhooks import signing
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_functions, advance

pytestmark = pytest.mark.integration
EXAMPLES = Path(__file__).parents[4] / "examples" / "client"
SEASON = """id,name,starts_at,minutes,zone
m1,Rapid - Sturm,2030-09-07 17:00,120,Europe/Vienna
m2,"Celtic, again",2030-12-01 19:30,120,Europe/London
"""


@pytest.fixture(autouse=True)
def environment(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPATH_API_URL", served)
    monkeypatch.setenv("LIVEPATH_API_KEY", KEY)


async def run(monkeypatch: pytest.MonkeyPatch, script: str, *words: str) -> None:
    """As `python script words` would, in a thread of this process."""
    monkeypatch.setattr(sys, "argv", [script, *words])
    await asyncio.to_thread(runpy.run_path, str(EXAMPLES / script), run_name="__main__")


async def test_an_event_is_scheduled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: AsyncClient
) -> None:
    await run(monkeypatch, "schedule_event.py", "Launch day")
    (event,) = [one async for one in client.events.list()]
    printed = capsys.readouterr().out
    for words in (event.id, "srt://media.test", "http://control.test/watch/", "/publish/"):
        assert words in printed


async def test_a_season_is_scheduled_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    client: AsyncClient,
    tmp_path: Path,
) -> None:
    file = tmp_path / "season.csv"
    file.write_text(SEASON)
    await run(monkeypatch, "bulk_schedule.py", str(file))
    first = capsys.readouterr().out
    assert "2030-09-07T17:00:00+02:00 Rapid - Sturm" in first
    assert "2030-12-01T19:30:00+00:00 Celtic, again" in first
    await run(monkeypatch, "bulk_schedule.py", str(file))
    assert capsys.readouterr().out == first
    assert len([one async for one in client.events.list()]) == 2


@pytest.fixture
async def streams(deployment: Deployment) -> AsyncIterator[None]:
    running = asyncio.create_task(deployment.context.streams.run())
    yield
    deployment.context.streams.close()
    running.cancel()


def tell(deployment: Deployment) -> None:
    with deployment.session() as session, session.begin():
        number(session, "default", 1000)
    deployment.context.streams.ring()


async def listening(deployment: Deployment) -> None:
    async with deployment.client() as client:
        while "livepath_stream_listeners 1.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("streams")
async def test_a_goal_is_clipped(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    client: AsyncClient,
    deployment: Deployment,
) -> None:
    event = await client.events.create("Final")
    add_functions(deployment, "clip-instant")
    advance(deployment, event.id, Trigger.PROGRAM_LIVE)
    deployment.now_ms += 60_000
    tell(deployment)
    async with asyncio.timeout(20):
        running = asyncio.create_task(run(monkeypatch, "clip_on_marker.py", event.id))
        await listening(deployment)
        await client.markers.create(event.id, "poll")
        goal = await client.markers.create(event.id, "goal", title="1:0")
        await client.events.end(event.id)
        tell(deployment)
        await running
    (clip,) = [one async for one in client.clips.list(event.id)]
    assert (clip.title, clip.end) == ("1:0", goal.start)
    assert clip.id in capsys.readouterr().out


async def test_a_receiver_takes_each_message_once_and_no_forgeries() -> None:
    secret = signing.secret_of(b"s" * 32)
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "webhook_receiver.py"), "0"),
        env={"LIVEPATH_WEBHOOK_SECRET": secret, "PYTHONPATH": str(EXAMPLES.parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )
    assert receiver.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int((await receiver.stdout.readline()).split()[-1])
            body = b'{"type": "event.live", "id": "msg_1", "event": "ev_1", "data": {"n": 1}}'
            signed = dict(signing.headers([secret], "msg_1", int(time.time()), body))
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as sender:
                for _ in range(2):
                    assert (await sender.post("/", content=body, headers=signed)).status_code == 204
                forged = await sender.post("/", content=body + b" ", headers=signed)
            assert forged.status_code == 400
    finally:
        receiver.terminate()
        said, _ = await receiver.communicate()
    assert said.decode().splitlines() == ["event.live ev_1 {'n': 1}"]
