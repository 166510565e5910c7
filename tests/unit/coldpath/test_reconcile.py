"""The reconciler over a store in memory and a database file; the broker is a list."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from coldpath.binding import Registry
from coldpath.clock import database_now_ms
from coldpath.context import JobFunction
from coldpath.deliveries import Deliveries, Delivery
from coldpath.errors import BrokerError
from coldpath.intake import Intake
from coldpath.ledger import Ledger
from coldpath.reconcile import Reconciler
from coldpath.records import JobResult
from coldpath.s3events import ObjectCreated
from infra.db.control import Event, Project
from infra.db.engine import sync_engine
from infra.errors import StorageError
from infra.keys import ManifestKey, SegmentKey, VodKey, WorkKey
from infra.storage.memory import MemoryObjectStore
from infra.storage.objects import ObjectInfo
from tests.support.databases import migrated_sqlite


class ListBroker:
    """Takes deliveries into a list; may be away or forget."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self.away = False

    def send(self, delivery: Delivery) -> None:
        if self.away:
            raise BrokerError("away")
        self.sent.append(delivery)

    def live(self, queues: Iterable[str]) -> set[str] | None:
        return {delivery.job for delivery in self.sent}


class CountingStore(MemoryObjectStore):
    """Counts requests as S3 would bill them."""

    requests = 0

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        self.requests += 1
        return super().list(prefix, after)

    def head(self, key: str) -> ObjectInfo | None:
        self.requests += 1
        return super().head(key)


class Desk:
    """Everything that a dispatcher has."""

    def __init__(self, folder: Path) -> None:
        self.engine = sync_engine(migrated_sqlite(folder))
        self.store = CountingStore()
        self.broker = ListBroker()
        self.deliveries = Deliveries(self.engine)
        self.registry = registry = Registry[JobFunction]()
        registry.function("archive", on=ManifestKey)(lambda _: JobResult())
        self.ledger = Ledger(self.engine, lease_ms=1)
        self.intake = Intake(
            self.store,
            registry,
            self.ledger,
            self.deliveries,
            self.broker,
        )

    def reconciler(self, limit: int = 100, rest_rounds: int = 0, objects: int = 100) -> Reconciler:
        return Reconciler(
            self.store,
            self.intake,
            self.deliveries,
            self.broker,
            frozenset({"bulk"}),
            sessions_per_round=limit,
            objects_per_round=objects,
            grace_ms=-1,
            rest_rounds=rest_rounds,
        )

    def end_event(self, event: str) -> None:
        """Control's rows for an event that has just ended."""
        with Session(self.engine) as session, session.begin():
            now = database_now_ms(session)
            session.add(Project(id="p", name="p", created_ms=now))
            session.flush()
            session.add(
                Event(
                    id=event,
                    project="p",
                    name=event,
                    state="ended",
                    access="public",
                    kid="k",
                    created_ms=now,
                    updated_ms=now,
                )
            )

    def record(self, event: str, incarnation: str = "i1", segments: int = 3) -> str:
        folder = f"live/p/{event}/main/{incarnation}"
        for number in range(segments):
            self.store.put(f"{folder}/video/s{number}.m4s", b"x", "video/mp4")
        self.store.put(f"{folder}/manifest.json", event.encode(), "application/json")
        return f"{folder}/manifest.json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.engine.dispose()


class TestEvents:
    def test_every_manifest_that_no_event_told_of_is_found_once(self, desk: Desk) -> None:
        desk.record("a"), desk.record("a", "i2"), desk.record("b")
        reconciler = desk.reconciler()
        assert reconciler.find_lost_events() == 3
        assert reconciler.find_lost_events() == 0
        assert len(desk.broker.sent) == 3

    def test_known_ones_are_left_alone(self, desk: Desk) -> None:
        key = desk.record("a")
        assert len(desk.intake.receive([ObjectCreated("bucket", key)], "bucket")) == 1
        assert desk.reconciler().find_lost_events() == 0

    def test_a_round_costs_two_requests_per_session_however_long_it_was(self, desk: Desk) -> None:
        for event in ("a", "b"):
            desk.record(event, segments=500)
        desk.store.requests = 0
        desk.reconciler().find_lost_events()
        assert desk.store.requests <= 5

    def test_rounds_are_bounded_and_go_on_where_the_last_one_stopped(self, desk: Desk) -> None:
        for number in range(5):
            desk.record(f"e{number}")
        reconciler = desk.reconciler(limit=2)
        assert [reconciler.find_lost_events() for _ in range(3)] == [2, 2, 1]
        desk.record("a-new-one-at-the-front")
        assert reconciler.find_lost_events() == 1

    def test_after_a_walk_the_bucket_is_left_alone_for_some_rounds(self, desk: Desk) -> None:
        desk.record("a")
        reconciler = desk.reconciler(rest_rounds=2)
        assert reconciler.find_lost_events() == 1
        desk.record("b")
        desk.store.requests = 0
        assert [reconciler.find_lost_events() for _ in range(2)] == [0, 0]
        assert desk.store.requests == 0
        assert reconciler.find_lost_events() == 1

    def test_a_recent_event_without_archive_is_looked_at_in_every_round(self, desk: Desk) -> None:
        reconciler = desk.reconciler(rest_rounds=100)
        reconciler.find_lost_events()
        desk.end_event("ev_1")
        desk.record("ev_1")
        assert reconciler.find_lost_events() == 1

    def test_foreign_objects_and_sessions_without_manifest_are_passed_over(
        self, desk: Desk
    ) -> None:
        desk.store.put("live/readme.txt", b"x", "text/plain")
        desk.store.put("live/P/E/main/i1/video/s0.m4s", b"x", "video/mp4")
        desk.store.put("live/p/a/main/i1/video/s0.m4s", b"x", "video/mp4")
        desk.record("b")
        reconciler = desk.reconciler(limit=2)
        assert sum(reconciler.find_lost_events() for _ in range(3)) == 1


class TestSegments:
    """Functions that run for segments, of which no reconciler can look at each."""

    @pytest.fixture(autouse=True)
    def measured(self, desk: Desk) -> None:
        desk.registry.function("measure", on=SegmentKey)(lambda _: JobResult())

    def filed(self, desk: Desk, *keys: str) -> list[tuple[str, str]]:
        new = desk.intake.receive([ObjectCreated("bucket", key) for key in keys], "bucket")
        return [(request.function, request.input_key.rpartition("/")[2]) for request in new]

    def test_a_manifest_brings_those_whose_events_were_lost(self, desk: Desk) -> None:
        manifest = desk.record("a")
        folder = manifest.removesuffix("manifest.json")
        assert self.filed(desk, f"{folder}video/s1.m4s") == [("measure", "s1.m4s")]
        assert self.filed(desk, manifest) == [
            ("archive", "manifest.json"),
            ("measure", "s0.m4s"),
            ("measure", "s2.m4s"),
        ]
        assert len(desk.broker.sent) == 4

    def test_the_reconciler_finds_them_with_the_manifest(self, desk: Desk) -> None:
        desk.record("a"), desk.record("a2")
        assert desk.reconciler().find_lost_events() == 2 * (1 + 3)

    def test_a_session_is_listed_once_in_its_life(self, desk: Desk) -> None:
        manifest = desk.record("a")
        self.filed(desk, manifest)
        desk.store.requests = 0
        assert self.filed(desk, manifest) == []
        assert desk.store.requests == 1

    def test_what_was_not_filed_to_the_end_is_looked_for_again(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = desk.record("a")

        def broken(prefix: str, after: str = "") -> Iterator[ObjectInfo]:
            yield from MemoryObjectStore.list(desk.store, f"{prefix}video/s0", after)
            raise StorageError("503")

        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "list", broken)
            with pytest.raises(StorageError):
                self.filed(desk, manifest)
        assert len(self.filed(desk, manifest)) == 4


class TestMade:
    """Functions that run for what other functions make."""

    @pytest.fixture
    def bound(self, desk: Desk) -> None:
        desk.registry.function("shrink", on=VodKey, when=lambda key: key.name == "poster.jpg")(
            lambda _: JobResult()
        )
        desk.registry.function("read", on=WorkKey)(lambda _: JobResult())

    def make(self, desk: Desk, count: int = 3) -> None:
        for number in range(count):
            for key in (
                f"vod/p/e{number}/main/c1/index.m3u8",
                f"vod/p/e{number}/main/c1/poster.jpg",
                f"work/p/e{number}/main/i1/captions/w0.json",
            ):
                desk.store.put(key, b"x", "x/y")

    @pytest.mark.usefixtures("bound")
    def test_each_object_of_which_no_event_told_is_found_once(self, desk: Desk) -> None:
        self.make(desk)
        told = ObjectCreated("bucket", "vod/p/e1/main/c1/poster.jpg")
        assert len(desk.intake.receive([told], "bucket")) == 1
        reconciler = desk.reconciler()
        assert [reconciler.find_lost_events() for _ in range(4)] == [2, 3, 0, 0]
        assert len({delivery.job for delivery in desk.broker.sent}) == 6

    @pytest.mark.usefixtures("bound")
    def test_a_round_lists_one_page_and_asks_for_no_object(self, desk: Desk) -> None:
        self.make(desk, count=4)
        reconciler, found = desk.reconciler(objects=5), []
        for _ in range(6):
            desk.store.requests = 0
            found.append(reconciler.find_lost_events())
            assert desk.store.requests <= 2, "one for the sessions, one for what was made"
        assert found == [2, 2, 4, 0, 0, 0]

    @pytest.mark.usefixtures("bound")
    def test_after_a_walk_they_are_left_alone_for_some_rounds(self, desk: Desk) -> None:
        reconciler = desk.reconciler(rest_rounds=2)
        assert [reconciler.find_lost_events() for _ in range(2)] == [0, 0]
        self.make(desk, count=1)
        assert [reconciler.find_lost_events() for _ in range(4)] == [0, 0, 1, 1]

    def test_where_no_function_wants_them_nothing_is_listed(self, desk: Desk) -> None:
        self.make(desk)
        desk.store.requests = 0
        assert desk.reconciler().find_lost_events() == 0
        assert desk.store.requests == 1


class TestIntake:
    def test_events_of_other_buckets_and_objects_cost_nothing(self, desk: Desk) -> None:
        key = desk.record("a")
        desk.store.requests = 0
        told = [
            ObjectCreated("other", key),
            ObjectCreated("bucket", "live/p/a/main/i1/video/s0.m4s"),
        ]
        assert desk.intake.receive(told, "bucket") == []
        assert desk.store.requests == 0

    def test_an_object_that_is_gone_again_is_no_job(self, desk: Desk) -> None:
        gone = ObjectCreated("bucket", "live/p/gone/main/i1/manifest.json")
        assert desk.intake.receive([gone], "bucket") == []

    def test_what_the_broker_does_not_take_is_sent_by_a_later_sweep(self, desk: Desk) -> None:
        desk.broker.away = True
        key = desk.record("a")
        assert len(desk.intake.receive([ObjectCreated("bucket", key)], "bucket")) == 1
        reconciler = desk.reconciler()
        assert reconciler.sweep() == 0
        desk.broker.away = False
        assert reconciler.sweep() == 1
        assert reconciler.sweep() == 0


class TestDeliveries:
    def test_a_delivery_that_the_broker_forgot_is_sent_again(self, desk: Desk) -> None:
        desk.record("a")
        reconciler = desk.reconciler()
        reconciler.find_lost_events()
        assert reconciler.find_lost_deliveries() == []
        first = desk.broker.sent.copy()
        desk.broker.sent.clear()
        assert len(reconciler.find_lost_deliveries()) == 1
        reconciler.sweep()
        assert desk.broker.sent == first

    def test_a_job_whose_worker_vanished_is_sent_again(self, desk: Desk) -> None:
        desk.record("a")
        reconciler = desk.reconciler()
        reconciler.find_lost_events()
        (delivery,) = desk.broker.sent
        assert desk.ledger.lease(delivery.job, "w/1") is not None
        while len(desk.broker.sent) < 2:  # until the lease of 1 ms ran out
            reconciler.sweep()
        assert desk.broker.sent[1] == delivery


def test_only_what_an_event_wants_is_filed_and_its_session_is_listed_once(desk: Desk) -> None:
    desk.registry.function("poster", on=ManifestKey)(lambda _: JobResult())
    desk.registry.function("sprite", on=SegmentKey)(lambda _: JobResult())
    desk.end_event("ev_1")
    with Session(desk.engine) as session, session.begin():
        session.get_one(Event, "ev_1").cold_functions = ["poster"]
    manifest = desk.record("ev_1")
    assert [request.function for request in desk.intake.file([manifest])] == ["poster"]
    before = desk.store.requests
    assert desk.intake.file([manifest]) == []
    assert desk.store.requests == before + 1
    with Session(desk.engine) as session, session.begin():
        session.get_one(Event, "ev_1").cold_functions = None
    assert {request.function for request in desk.intake.file([manifest])} == {"archive", "sprite"}


def test_a_session_whose_manifest_asks_for_nothing_is_listed_once_too(desk: Desk) -> None:
    desk.registry.function("sprite", on=SegmentKey)(lambda _: JobResult())
    desk.end_event("ev_1")
    with Session(desk.engine) as session, session.begin():
        session.get_one(Event, "ev_1").cold_functions = ["sprite"]
    manifest = desk.record("ev_1")
    assert [one.function for one in desk.intake.file([manifest])] == 3 * ["sprite"]
    before = desk.store.requests
    assert desk.intake.file([manifest]) == []
    assert desk.store.requests == before + 1
