"""A control process tells what happens: a receiver and a listener hear it, and it ends in order."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from tests.integration.infra.control.test_process import Control
from tests.support.databases import migrated_sqlite
from tests.support.processes import until
from tests.support.receiver import Receiver
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


@pytest.fixture
def control(tmp_path: Path, valkey: ValkeyServer) -> Iterator[Control]:
    allowed = {"webhook_http": "true", "webhook_private": "true"}
    made = Control(tmp_path, migrated_sqlite(tmp_path), valkey.url, **allowed)
    yield made
    made.kill()


async def test_an_event_is_told_to_a_receiver_and_to_a_listener(control: Control) -> None:
    control.start()
    await control.ready()
    async with Receiver() as receiver, control.client() as client:
        hook = (await client.post("/v1/webhooks", json={"url": receiver.url})).json()
        async with client.stream("GET", "/v1/stream") as response:
            lines = response.aiter_lines()
            assert (await anext(lines)).startswith("id: ")
            event = (await client.post("/v1/events", json={"name": "Launch"})).json()["id"]
            async for line in lines:
                if line.startswith("data: "):
                    break
            heard = json.loads(line.removeprefix("data: "))
            assert (heard["type"], heard["event"]) == ("event.created", event)
            await until("the receiver has it", lambda: len(receiver.received) == 1)
            [got] = receiver.received
            assert Verifier(hook["secret"]).verify(got.body, got.headers) == heard
            metrics = (await client.get("/metrics")).text
            assert "livepath_stream_listeners 1.0" in metrics
            assert await control.terminate() == 0
            # The stream has come to its end, not to an error.
            async for _ in lines:
                pass
    assert "Traceback" not in control.log.read_text()
