"""Programmes that are not recorded: they are watched like others, and nothing of them is kept."""

import time
from pathlib import Path

import pytest

from hotpath.program import checkpoint as checkpoints
from hotpath.program.checkpoint import Checkpoint
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType
from tests.support.medianode import PROJECT, event, key_of
from tests.support.processes import until
from tests.support.programs import Node, running

pytestmark = pytest.mark.integration

UNRECORDED = event(recording=False)
KEY = key_of(UNRECORDED)


def knowing(*, open: bool = True) -> DesiredSnapshot:
    wanted = UNRECORDED.model_copy(update={"open": open, "revision": 1 if open else 2})
    return DesiredSnapshot(epoch="test", projects={PROJECT.id: PROJECT}, events={wanted.id: wanted})


def recorded(node: Node) -> list[Path]:
    """What the uploader would find."""
    live = node.folder / "spool" / "live"
    return [path for path in live.rglob("*") if path.is_file()]


async def test_it_is_watched_until_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, snapshot=knowing()) as node:
        node.connect(1, UNRECORDED.id)
        node.publish(1, seconds=6)
        assert await node.variants(KEY) == ["video.m3u8"]
        assert "#EXTINF" in await node.playlist(KEY, "video.m3u8")
        assert recorded(node) == []
        node.programs.apply(knowing(open=False))
        node.sink.publisher_disconnected(1, "closed")
        await until("it is over", lambda: bool(node.told(FactType.PROGRAM_ENDED)))
        await until("it is off the air", lambda: node.registry.get(KEY) is None)
    assert recorded(node) == []


async def test_a_node_that_forgot_what_was_wanted_still_records_nothing(tmp_path: Path) -> None:
    left = Checkpoint(
        incarnation="a",
        msn_reserved=96,
        discontinuity_seq=24,
        epoch_ns=time.time_ns() - 10**9,
        target_duration_s=2,
        open=True,
        recorded=False,
    )
    async with running(tmp_path, snapshot=DesiredSnapshot(), checkpoints={KEY: left}) as node:
        assert node.programs.states() == {"reconnecting": 1}
        known, unreadable = checkpoints.load_all(node.folder / "programs")
        assert (known[KEY].recorded, unreadable) == (False, [])
        node.programs.apply(knowing())
        node.connect(1, UNRECORDED.id)
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
    assert recorded(node) == []
