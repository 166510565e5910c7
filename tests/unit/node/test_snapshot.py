"""The desired state on disk."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hotpath.node import snapshot
from infra.events.desired_state import DesiredSnapshot
from tests.support.medianode import PROJECT, event


def test_a_state_survives_on_disk_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "media" / "desired.json"
    state = DesiredSnapshot(epoch="e", projects={PROJECT.id: PROJECT}, events={"ev_one": event()})
    snapshot.save(path, state)
    assert snapshot.load(path) == state
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_state_and_a_broken_one_are_an_empty_state(tmp_path: Path) -> None:
    path = tmp_path / "desired.json"
    assert snapshot.load(path) == DesiredSnapshot()
    path.write_text('{"epoch": 3, "events"')
    assert snapshot.load(path) == DesiredSnapshot()


async def test_a_slow_disk_makes_nobody_wait_and_gets_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "desired.json"
    states = [DesiredSnapshot(epoch=f"e{number}") for number in range(3)]
    with ThreadPoolExecutor(1) as disk:
        slow = threading.Event()
        disk.submit(slow.wait, 30)
        keeper = snapshot.Keeper(path, disk)
        running = asyncio.create_task(keeper.run())
        for state in states:
            keeper.keep(state)
            await asyncio.sleep(0)
        assert not path.exists()
        slow.set()
        async with asyncio.timeout(30):
            while not path.exists() or snapshot.load(path) != states[-1]:
                await asyncio.sleep(0.01)
        running.cancel()


async def test_a_disk_that_fails_is_tried_again_with_the_next_state(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.write_text("in the way")
    with ThreadPoolExecutor(1) as disk:
        keeper = snapshot.Keeper(folder / "desired.json", disk)
        running = asyncio.create_task(keeper.run())
        keeper.keep(DesiredSnapshot(epoch="lost"))
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(disk, folder.unlink)
        kept = DesiredSnapshot(epoch="kept")
        keeper.keep(kept)
        async with asyncio.timeout(30):
            while snapshot.load(folder / "desired.json") != kept:
                await asyncio.sleep(0.01)
        running.cancel()
