"""One publisher per event, whichever protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.publishers import Publishers
from hotpath.ingest.statistics import Publisher
from tests.support.ingest import RecordingSink, entry

FREE, STRICT = entry("ev_free", takeover=True), entry("ev_strict")


@dataclass
class Ingest:
    table: tuple[AdmissionEntry, ...] = ()
    occupied: set[str] = field(default_factory=set)
    disconnected: list[tuple[int, str]] = field(default_factory=list)

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        self.table = tuple(entries)

    def set_occupied(self, event: str, occupied: bool) -> None:
        (self.occupied.add if occupied else self.occupied.discard)(event)

    def disconnect(self, publisher_id: int, reason: str) -> None:
        self.disconnected.append((publisher_id, reason))


@dataclass
class Door:
    sink: RecordingSink
    srt: Ingest
    whip: Ingest
    publishers: Publishers


@pytest.fixture
def door() -> Door:
    sink, srt, whip = RecordingSink(), Ingest(), Ingest()
    publishers = Publishers(sink)
    publishers.join("srt", srt)
    publishers.join("whip", whip)
    publishers.set_table([FREE, STRICT])
    return Door(sink, srt, whip, publishers)


def publisher(number: int, event: str, protocol: Literal["srt", "whip"]) -> Publisher:
    return Publisher(number, "default", event, "main", "192.0.2.1:9", 0, protocol)


def test_the_table_reaches_both_even_one_that_joins_late(door: Door) -> None:
    late = Ingest()
    door.publishers.join("whip", late)
    assert door.srt.table == door.whip.table == late.table == (FREE, STRICT)


def test_the_other_protocol_hears_that_an_event_is_taken_and_free_again(door: Door) -> None:
    door.publishers.publisher_connected(publisher(1, "ev_strict", "whip"))
    assert (door.srt.occupied, door.whip.occupied) == ({"ev_strict"}, set())
    door.srt.occupied.clear()  # a table without the event came and went
    door.publishers.set_table([STRICT])
    assert door.srt.occupied == {"ev_strict"}
    door.publishers.publisher_disconnected(1, "connection-lost")
    assert door.srt.occupied == set()
    assert door.publishers.publisher_of("ev_strict") is None


def test_a_takeover_ends_the_old_one_first_and_its_late_words_are_dropped(door: Door) -> None:
    door.publishers.publisher_connected(publisher(1, "ev_free", "srt"))
    door.publishers.publisher_connected(publisher(2, "ev_free", "whip"))
    door.publishers.publisher_formats(1, ())
    door.publishers.publisher_units(1, ())
    door.publishers.publisher_warning(1, "loss", "late")
    door.publishers.publisher_disconnected(1, "taken-over")
    assert door.sink.order == ["connected 1", "ended 1", "connected 2"]
    assert door.sink.ended == {1: "taken-over"}
    assert door.srt.disconnected == [(1, "taken-over")]
    assert door.sink.formats == {}
    assert door.sink.warnings == []
    assert door.srt.occupied == {"ev_free"}
    assert door.whip.occupied == set()


def test_of_two_that_connect_at_the_same_moment_the_second_is_sent_away(door: Door) -> None:
    door.publishers.publisher_connected(publisher(1, "ev_strict", "srt"))
    door.publishers.publisher_connected(publisher(2, "ev_strict", "whip"))
    door.publishers.publisher_disconnected(2, "busy")
    assert door.sink.order == ["connected 1"]
    assert door.whip.disconnected == [(2, "busy")]
    assert door.publishers.publisher_of("ev_strict") == publisher(1, "ev_strict", "srt")


def test_a_disconnect_goes_to_the_publishers_own_ingest(door: Door) -> None:
    door.publishers.publisher_connected(publisher(1, "ev_free", "whip"))
    door.publishers.disconnect(1, "the event is over")
    assert door.whip.disconnected == [(1, "the event is over")]
    assert door.srt.disconnected == []
