"""Programmes on a node: isolation from each other, and from a disk that refuses."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotpath.hls import packager
from hotpath.hls.segmenter import Event, PartReady
from hotpath.media.unit import VIDEO
from hotpath.node import incarnations as incarnations_module
from hotpath.node import launcher as launcher_module
from hotpath.program import checkpoint as checkpoint_files
from hotpath.program.checkpoint import Checkpoint
from hotpath.program.service import Program
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType
from infra.keys import ProgramKey
from infra.manifest import SessionManifest
from infra.publishers import Role
from tests.support.coded import coded
from tests.support.medianode import PROJECT, event
from tests.support.processes import until
from tests.support.programs import edge_unit, running

pytestmark = pytest.mark.integration


async def test_a_packager_that_fails_costs_its_programme_one_incarnation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[Sequence[Event]], list[packager.Product]] = packager.produce

    def produce(events: Sequence[Event]) -> list[packager.Product]:
        for each in events:
            if isinstance(each, PartReady) and each.units[0].data == b"poison":
                raise RuntimeError("a bug that this stream brings out")
        return real(events)

    monkeypatch.setattr(packager, "produce", produce)
    async with running(tmp_path, "ev_good", "ev_bad") as node:
        for publisher, name in ((1, "ev_good"), (2, "ev_bad")):
            node.connect(publisher, name)
            node.publish(publisher)
        await until("both are live", lambda: len(node.told(FactType.PROGRAM_LIVE)) == 2)
        good = node.registry.get(ProgramKey(PROJECT.id, "ev_good"))
        bad = node.registry.get(ProgramKey(PROJECT.id, "ev_bad"))
        assert good is not None
        assert bad is not None
        rotten = replace(
            edge_unit(coded(seconds=6).track(VIDEO)[0], time.time_ns()), data=b"poison"
        )
        node.sink.publisher_units(
            2, [replace(rotten, pts=dts, dts=dts) for dts in range(270_000, 360_000, 3000)]
        )
        await until("it starts again", lambda: bool(node.told(FactType.PUBLISHER_LOST)))
        again = node.registry.get(ProgramKey(PROJECT.id, "ev_bad"))
        assert again is not None
        assert again.incarnation > bad.incarnation
        assert [publisher for publisher, _ in node.ingest.disconnected] == [2]
        assert not good.ended
        assert node.programs.states() == {"live": 1, "reconnecting": 1}
        node.sink.publisher_disconnected(2, "closed")
        node.connect(3, "ev_bad")
        node.publish(3)
        await until("it is live again", lambda: len(node.told(FactType.PROGRAM_LIVE)) == 3)
    assert len(node.manifests("ev_bad")) == 2


async def test_a_bug_in_a_programme_costs_that_publisher_its_connection(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.sink.publisher_units(1, [None])  # type: ignore[list-item]
        assert node.ingest.disconnected == [(1, "internal error")]


async def test_a_bug_in_what_time_brings_costs_no_other_programme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[Program, int, int], None] = Program.poll
    broken: set[int] = set()
    tried: list[int] = []

    def poll(self: Program, now: int, wall_ns: int) -> None:
        if self.publisher in broken:
            tried.append(now)
            raise RuntimeError("a bug that this stream brings out")
        real(self, now, wall_ns)

    monkeypatch.setattr(Program, "poll", poll)
    async with running(tmp_path, "ev_good", "ev_bad") as node:
        for publisher, name in ((1, "ev_good"), (2, "ev_bad")):
            node.connect(publisher, name)
            node.publish(publisher)
        await until("both are live", lambda: len(node.told(FactType.PROGRAM_LIVE)) == 2)
        broken.add(2)
        # Both are silent: the good one shows its last picture, the other is tried now and then.
        await until("it was tried", lambda: bool(tried))
        shown = node.programs.left_out()["slate-frames"]
        await until("time goes on", lambda: node.programs.left_out()["slate-frames"] > shown + 8)
        assert node.programs.states() == {"live": 2}
        assert len(tried) < 6


async def test_a_disk_that_refuses_delays_the_start_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = checkpoint_files.save, []

    def save(folder: Path, key: ProgramKey, checkpoint: Checkpoint) -> None:
        if len(refused) < 2:
            refused.append(checkpoint.incarnation)
            raise OSError(28, "No space left on device")
        real(folder, key, checkpoint)

    monkeypatch.setattr(incarnations_module.files, "save", save)
    monkeypatch.setattr(launcher_module, "OPEN_RETRY_S", 0.01)
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        stream = node.registry.get(ProgramKey(PROJECT.id, "ev_one"))
        assert stream is not None
        assert stream.ring.units >= 90
        assert stream.incarnation > max(refused)
    assert len(node.manifests("ev_one")) == 3


async def test_an_event_ended_before_its_incarnation_was_open_is_over(tmp_path: Path) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.publish(1)
        closed = event("ev_one", open=False, revision=2)
        node.programs.apply(
            DesiredSnapshot(epoch="test", projects={PROJECT.id: PROJECT}, events={"ev_one": closed})
        )
        await until("it is off the air", lambda: not node.programs.states())
        assert [reason for _, reason in node.ingest.disconnected] == ["ended by request"]
        assert node.told(FactType.PROGRAM_LIVE) == []


async def test_the_end_of_an_event_sends_its_standby_away_too(tmp_path: Path) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.connect(2, "ev_one", Role.BACKUP)
        for publisher in (1, 2):
            node.publish(publisher)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        assert node.programs.publishers() == 2
        closed = event("ev_one", open=False, revision=2)
        node.programs.apply(
            DesiredSnapshot(epoch="test", projects={PROJECT.id: PROJECT}, events={"ev_one": closed})
        )
        reason = "ended by request"
        assert sorted(node.ingest.disconnected) == [(1, reason), (2, reason)]
        for publisher in (1, 2):
            node.sink.publisher_disconnected(publisher, "closed")
    assert [fact.detail for fact in node.told(FactType.PUBLISHERS_PRESENT)] == [
        {"primary": True, "backup": False, "active": "primary"},
        {"primary": True, "backup": True, "active": "primary"},
        {"primary": False, "backup": False, "active": None},
    ]
    assert node.told(FactType.PUBLISHER_LOST) == node.told(FactType.STANDBY_LOST) == []


async def test_a_standby_that_is_needed_is_asked_for_a_keyframe(tmp_path: Path) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        # Only now: one that has been silent for a second is no standby to go on with.
        node.connect(2, "ev_one", Role.BACKUP)
        node.sink.publisher_disconnected(1, "connection-lost")
        assert node.ingest.asked == [("ev_one", Role.BACKUP)]
        node.publish(2, start=3)
        assert node.programs.states() == {"live": 1}
        assert node.programs.switches() == {"lost": 1}
        (switched,) = node.told(FactType.PUBLISHER_SWITCHED)
        assert (switched.detail["from"], switched.detail["to"]) == ("primary", "backup")


async def test_sound_alone_is_offered_where_the_event_asks_for_it(tmp_path: Path) -> None:
    events = {
        "ev_plain": event("ev_plain"),
        "ev_asks": event("ev_asks", renditions=("audio-only", "of a later release")),
    }
    wanted = DesiredSnapshot(epoch="test", projects={PROJECT.id: PROJECT}, events=events)
    async with running(tmp_path, snapshot=wanted) as node:
        listed = {}
        for publisher, name in enumerate(events):
            node.connect(publisher, name)
            node.publish(publisher, seconds=6)
            listed[name] = await node.variants(ProgramKey(PROJECT.id, name))
    assert listed == {"ev_plain": ["video.m3u8"], "ev_asks": ["video.m3u8", "audio.m3u8"]}


async def test_a_node_that_knows_no_desired_state_ends_nothing(tmp_path: Path) -> None:
    key = ProgramKey(PROJECT.id, "ev_one")
    left = Checkpoint(
        incarnation="a",
        msn_reserved=96,
        discontinuity_seq=24,
        epoch_ns=time.time_ns() - 10**9,
        target_duration_s=2,
        open=True,
    )
    async with running(tmp_path, snapshot=DesiredSnapshot(), checkpoints={key: left}) as node:
        assert node.programs.states() == {"reconnecting": 1}
        known = DesiredSnapshot(
            epoch="test", projects={PROJECT.id: PROJECT}, events={"ev_one": event("ev_one")}
        )
        node.programs.apply(known)
        assert [row.open for row in node.ingest.table] == [True]
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))


async def test_publishers_of_unknown_events_are_sent_away(tmp_path: Path) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_two")
        assert node.ingest.disconnected == [(1, "the event is over")]
        node.sink.publisher_units(1, [])
        node.sink.publisher_disconnected(1, "closed")
        assert node.facts == []


async def test_a_publisher_that_sends_nothing_leaves_no_programme(tmp_path: Path) -> None:
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        assert node.programs.states() == {"waiting": 1}
        node.sink.publisher_disconnected(1, "closed")
        assert node.programs.states() == {}
        assert not (tmp_path / "programs").exists()


async def test_a_programme_that_another_node_has_is_given_up_and_not_over(tmp_path: Path) -> None:
    key = ProgramKey(PROJECT.id, "ev_one")
    async with running(tmp_path, "ev_one") as node:
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        node.programs.give_up(key)
        assert node.programs.states() == {"live": 1}  # it has a publisher here
        node.sink.publisher_disconnected(1, "closed")
        node.programs.give_up(key)
        await until("it is gone", lambda: not node.programs.states())
        assert not checkpoint_files.path_of(tmp_path / "programs", key).exists()
        assert node.told(FactType.PROGRAM_ENDED) == []
        await until("its media is handed on", lambda: bool(node.manifests("ev_one")))
        (manifest,) = node.manifests("ev_one")
        assert not SessionManifest.model_validate_json(manifest.read_text()).final
        node.connect(2, "ev_one")  # and it may come back
        node.publish(2)
        await until("it is live again", lambda: len(node.told(FactType.PROGRAM_LIVE)) == 2)


async def test_a_programme_that_left_another_node_goes_on_above_its_numbers(
    tmp_path: Path,
) -> None:
    earlier = Checkpoint(
        incarnation="a2", previous=("a1",), msn_reserved=300, discontinuity_seq=7,
        epoch_ns=time.time_ns() - 60 * 10**9, target_duration_s=2, open=True,
    )  # fmt: skip
    key = ProgramKey(PROJECT.id, "ev_one")
    async with running(tmp_path, "ev_one", elsewhere=earlier) as node:
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        path = checkpoint_files.path_of(tmp_path / "programs", key)
        mine = Checkpoint.model_validate_json(path.read_bytes())
        assert mine.previous == ("a1", "a2")
        assert mine.epoch_ns == earlier.epoch_ns
        assert node.told(FactType.PUBLISHER_LOST) == []
        while "#EXT-X-MEDIA-SEQUENCE:300\n" not in await node.playlist(key, "video.m3u8"):
            await asyncio.sleep(0.02)


async def test_a_node_that_is_drained_takes_no_programme_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "ev_one", "ev_two") as node:
        node.connect(1, "ev_one")
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        node.programs.draining = True
        node.connect(2, "ev_two")
        assert node.ingest.disconnected == [(2, "the node is being drained")]
        node.sink.publisher_disconnected(1, "closed")
        node.connect(3, "ev_one")  # it comes back to where its viewers are
        assert len(node.ingest.disconnected) == 1
        node.programs.publishers_move = True
        node.programs.send_publishers_away("the node is being drained")
        assert node.ingest.disconnected[1:] == [(3, "the node is being drained")]
        node.sink.publisher_disconnected(3, "closed")
        node.connect(4, "ev_one")
        assert [publisher for publisher, _ in node.ingest.disconnected] == [2, 3, 4]
