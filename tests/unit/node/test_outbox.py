"""Facts on disk first, on the bus once, in order, within bounds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hotpath.node.outbox import FactsFile, Outbox
from infra.errors import BusUnavailable
from infra.events.facts import FactType, MediaFact


def fact(number: int, fact_type: FactType = FactType.PROGRAM_LIVE) -> MediaFact:
    return MediaFact(id=f"n-b-{number}", type=fact_type, node="n", at_ns=number)


class Bus:
    """Takes facts unless it is away; tells waiters when something happened."""

    def __init__(self) -> None:
        self.away = False
        self.sent: list[str] = []
        self.tries = 0
        self._happened = asyncio.Condition()

    async def send(self, facts: Sequence[MediaFact]) -> None:
        async with self._happened:
            self.tries += 1
            self._happened.notify_all()
            if self.away:
                raise BusUnavailable("away")
            self.sent += [each.id for each in facts]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._happened:
            await asyncio.wait_for(self._happened.wait_for(condition), 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "media" / "facts.jsonl"


@asynccontextmanager
async def running(path: Path, bus: Bus, max_facts: int = 100) -> AsyncIterator[Outbox]:
    with ThreadPoolExecutor(1) as disk:
        file = FactsFile(path)
        outbox = Outbox(file, bus, disk, max_facts=max_facts)
        outbox.restore(file.load())
        task = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await outbox.settle()


async def test_facts_go_out_in_order_and_leave_the_disk(path: Path) -> None:
    bus = Bus()
    async with running(path, bus) as outbox:
        for number in range(5):
            outbox.put(fact(number))
        await bus.until(lambda: len(bus.sent) == 5)
        while path.read_bytes():
            await asyncio.sleep(0)
    assert bus.sent == [f"n-b-{number}" for number in range(5)]
    assert FactsFile(path).load() == []


async def test_facts_wait_on_disk_for_the_bus_and_for_the_next_process(path: Path) -> None:
    bus = Bus()
    bus.away = True
    async with running(path, bus) as outbox:
        outbox.put(fact(1))
        await bus.until(lambda: bus.tries >= 1)
        outbox.put(fact(2))
        await bus.until(lambda: bus.tries >= 2)
        assert outbox.problem == "away"
    assert [each.id for each in FactsFile(path).load()] == ["n-b-1", "n-b-2"]
    bus.away = False
    async with running(path, bus) as outbox:
        outbox.put(fact(3))
        await bus.until(lambda: len(bus.sent) == 3)
    assert bus.sent == ["n-b-1", "n-b-2", "n-b-3"]


async def test_an_outbox_is_drained_when_the_bus_has_everything(path: Path) -> None:
    bus = Bus()
    async with running(path, bus, max_facts=1000) as outbox:
        for number in range(250):
            outbox.put(fact(number))
        await asyncio.wait_for(outbox.drained(), 10)
        assert len(bus.sent) == 250
        await asyncio.wait_for(outbox.drained(), 10)


async def test_a_line_that_a_crash_cut_off_is_left_out(path: Path) -> None:
    file = FactsFile(path)
    file.append([fact(1)])
    with path.open("ab") as broken:
        broken.write(b'{"id":"n-b-2","ty')
    assert [each.id for each in file.load()] == ["n-b-1"]
    file.append([fact(3)])
    assert [each.id for each in file.load()] == ["n-b-1", "n-b-3"]


async def test_a_full_outbox_lets_warnings_go_before_facts_that_change_states(path: Path) -> None:
    bus = Bus()
    bus.away = True
    async with running(path, bus, max_facts=4) as outbox:
        outbox.put(fact(0))
        for number in range(1, 7):
            outbox.put(fact(number, FactType.INGEST_WARNING))
        outbox.put(fact(7, FactType.PROGRAM_ENDED))
        await outbox.settle()
        assert outbox.dropped == 4
        assert len(outbox) == 4
    assert [each.id for each in FactsFile(path).load()] == ["n-b-0", "n-b-5", "n-b-6", "n-b-7"]


async def test_a_disk_that_refuses_does_not_keep_facts_from_the_bus(tmp_path: Path) -> None:
    blocked = tmp_path / "media"
    blocked.write_text("a file where the folder should be")
    bus = Bus()
    with ThreadPoolExecutor(1) as disk:
        outbox = Outbox(FactsFile(blocked / "facts.jsonl"), bus, disk)
        task = asyncio.create_task(outbox.run())
        outbox.put(fact(1))
        await bus.until(lambda: bus.sent == ["n-b-1"])
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
