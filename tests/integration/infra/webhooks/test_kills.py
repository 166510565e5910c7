"""Dispatchers are killed again and again while public events are recorded: none is lost."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.outbox.catalogue import NoticeType
from tests.integration.infra.webhooks.conftest import Outbox
from tests.support.processes import until
from tests.support.receiver import OK, Received, Receiver

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[4]
KILLS = 10
SEED = 6


class Nursery:
    """A process that forks dispatchers."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def start(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return int(await self._process.stdout.readline())


@pytest.fixture
async def nursery(migrated_url: str) -> AsyncIterator[Nursery]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dispatching", migrated_url),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
    )
    yield Nursery(process)
    # Its children see that it is gone.
    process.kill()
    await process.wait()


async def test_every_notice_arrives_whoever_is_killed(
    outbox: Outbox, receiver: Receiver, nursery: Nursery
) -> None:
    chance = random.Random(SEED)
    slowly = chance.random

    async def take(_request: Received) -> bytes:
        # Long enough for kills between the arrival of a message and the note that it arrived.
        await asyncio.sleep(slowly() * 0.04)
        return OK

    receiver.answers = take
    await outbox.hook(receiver.url)
    pids = [await nursery.start(), await nursery.start()]
    for number in range(KILLS):
        await outbox.note(*[NoticeType.EVENT_LIVE] * chance.randint(1, 8))
        seen = len(receiver.received)
        await until("something arrives", lambda seen=seen: len(receiver.received) > seen)
        await asyncio.sleep(chance.random() * 0.05)
        os.kill(pids[number % 2], signal.SIGKILL)
        pids[number % 2] = await nursery.start()
    recorded = {row.id for row in outbox.messages()}
    await until("everything arrived", lambda: {got.id for got in receiver.received} == recorded)
    await until(
        "everything is noted as delivered",
        lambda: {row.state for row in outbox.deliveries()} == {"delivered"},
    )
    assert [row.sequence for row in outbox.messages()] == list(range(1, len(recorded) + 1))
    # A message that came twice is the same message.
    assert len({(got.id, got.body) for got in receiver.received}) == len(recorded)
