"""Events whose pictures wait for a start: nothing of what comes before it is published or kept."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hotpath.program.checkpoint import Checkpoint
from infra.auth.access import NOBODY
from infra.events.desired import DesiredEvent
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType
from infra.publishers import Role
from infra.telemetry.stages import METRIC
from tests.support.desired import say
from tests.support.medianode import (
    PATIENCE_S,
    PROJECT,
    MediaProcess,
    encoding,
    event,
    key_of,
    srt_url,
)
from tests.support.processes import until
from tests.support.programs import Node, running
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration

EARLY = event(access=NOBODY)
STARTED = event(revision=2)
KEY = key_of(EARLY)


def knowing(wanted: DesiredEvent) -> DesiredSnapshot:
    return DesiredSnapshot(epoch="test", projects={PROJECT.id: PROJECT}, events={wanted.id: wanted})


def kept(node: Node) -> list[Path]:
    """What is on disk of programmes."""
    return [path for path in node.folder.rglob("*") if path.suffix in (".json", ".m4s")]


async def is_live(node: Node) -> None:
    await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))


async def test_the_start_puts_the_primary_on_the_air_and_asks_it_for_a_keyframe(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, snapshot=knowing(EARLY)) as node:
        node.connect(1, EARLY.id, Role.BACKUP)
        node.connect(2, EARLY.id)
        for publisher in (1, 2):
            node.publish(publisher)
        assert node.registry.get(KEY) is None
        assert node.programs.states() == {"waiting": 1}
        assert kept(node) == []
        assert node.ingest.asked == []
        node.programs.apply(knowing(STARTED))
        assert node.ingest.asked == [(EARLY.id, Role.PRIMARY)]
        node.publish(2, start=3)
        await is_live(node)
        assert node.programs.switches() == {}
    assert len(node.manifests(EARLY.id)) == 1
    presence = [fact.detail["active"] for fact in node.told(FactType.PUBLISHERS_PRESENT)]
    assert presence == [None, None, "primary", None]


async def test_an_event_that_is_over_before_its_start_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, snapshot=knowing(EARLY)) as node:
        for publisher, role in enumerate(Role):
            node.connect(publisher, EARLY.id, role)
            node.publish(publisher)
        node.programs.apply(knowing(event(open=False, revision=2)))
        reason = "ended by request"
        assert sorted(node.ingest.disconnected) == [(0, reason), (1, reason)]
        for publisher in (0, 1):
            node.sink.publisher_disconnected(publisher, "closed")
        assert node.programs.states() == {}
        told = {FactType.PUBLISHER_CONNECTED, FactType.PUBLISHERS_PRESENT}
        assert {fact.type for fact in node.facts} == told
    assert kept(node) == []


async def test_whoever_leaves_before_the_start_leaves_no_programme(tmp_path: Path) -> None:
    async with running(tmp_path, snapshot=knowing(EARLY)) as node:
        node.connect(1, EARLY.id)
        node.publish(1)
        node.sink.publisher_disconnected(1, "connection-lost")
        assert node.programs.states() == {}
        (lost,) = node.told(FactType.STANDBY_LOST)
        assert (lost.detail["place"], lost.detail["reason"]) == ("primary", "connection-lost")
        node.programs.apply(knowing(STARTED))
        node.connect(2, EARLY.id)
        node.publish(2)
        await is_live(node)


async def test_a_start_that_is_moved_holds_what_has_no_picture_yet(tmp_path: Path) -> None:
    async with running(tmp_path, snapshot=knowing(STARTED)) as node:
        node.connect(1, EARLY.id)
        node.programs.apply(knowing(event(access=NOBODY, revision=3)))
        node.publish(1)
        # A desired state that is lost starts nothing and ends nothing.
        node.programs.apply(DesiredSnapshot())
        node.publish(1)
        assert node.programs.states() == {"waiting": 1}
        assert kept(node) == []
        node.programs.apply(knowing(event(revision=4)))
        node.publish(1)
        await is_live(node)


async def test_a_start_that_is_moved_leaves_a_programme_that_has_begun_on_the_air(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, snapshot=knowing(STARTED)) as node:
        node.connect(1, EARLY.id)
        node.publish(1)
        await is_live(node)
        node.programs.apply(knowing(event(access=NOBODY, revision=3)))
        stream = node.registry.get(KEY)
        assert stream is not None
        before = stream.ring.units
        node.publish(1, start=3)
        assert stream.ring.units > before
        assert node.programs.states() == {"live": 1}


async def test_a_programme_on_disk_has_begun_whatever_the_desired_state_says(
    tmp_path: Path,
) -> None:
    left = Checkpoint(
        incarnation="a",
        msn_reserved=96,
        discontinuity_seq=24,
        epoch_ns=time.time_ns() - 10**9,
        target_duration_s=2,
        open=True,
    )
    async with running(tmp_path, snapshot=knowing(EARLY), checkpoints={KEY: left}) as node:
        assert node.programs.states() == {"reconnecting": 1}
        node.connect(1, EARLY.id)
        node.publish(1)
        await is_live(node)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ValkeyServer]:
    folder = tmp_path / "bus"
    folder.mkdir()
    with ValkeyServer(folder) as server:
        yield server


def taken(media: MediaProcess) -> float:
    """How many units ingest has brought in."""
    families = text_string_to_metric_families(media.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == f"{METRIC}_count" and sample.labels["stage"] == "demuxed"
    )


def more_comes_in(media: MediaProcess, units: int = 100) -> None:
    before, deadline = taken(media), time.monotonic() + PATIENCE_S
    while taken(media) < before + units:
        assert time.monotonic() < deadline, "no media comes in"
        time.sleep(0.05)


def test_a_media_process_publishes_from_the_start_that_it_hears_of(
    tmp_path: Path, bus: ValkeyServer
) -> None:
    with MediaProcess(tmp_path / "data", bus_url=bus.url) as media:
        media.want(EARLY)
        say(bus, EARLY)
        media.start()
        with encoding(srt_url(media, EARLY), gop=15):
            more_comes_in(media)
            assert media.get(f"/live/{KEY}/video.m3u8").status_code == 404
            assert list((media.data / "spool" / "live").glob("*")) == []
            assert list((media.data / "media" / "programs").glob("*")) == []
            started = time.time()
            say(bus, STARTED)
            playlist = media.until(KEY, lambda found: bool(found.segments or found.open.parts))
        first = [*playlist.segments, playlist.open][0]
        assert first.msn == 0
        assert first.date is not None
        assert first.date.timestamp() > started
        assert len(list((media.data / "spool" / "live" / str(KEY)).iterdir())) == 1
        present = [each for each in media.log if each.get("event") == "publishers.present"]
        assert [each["active"] for each in present[:2]] == [None, "primary"]
        assert media.troubles() == []
