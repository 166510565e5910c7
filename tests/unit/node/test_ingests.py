"""One event and role, one publisher, whichever protocol it speaks."""

from collections.abc import Sequence

import pytest

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.statistics import Publisher
from hotpath.node.ingests import Ingests
from infra.publishers import Place, Role

PRIMARY, BACKUP = ("ev_1", Role.PRIMARY), ("ev_1", Role.BACKUP)


class Protocol:
    def __init__(self) -> None:
        self.occupied: set[Place] = set()
        self.tables: list[Sequence[AdmissionEntry]] = []
        self.disconnected: list[tuple[int, str]] = []

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        self.tables.append(entries)
        self.occupied.clear()

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None:
        (self.occupied.add if occupied else self.occupied.discard)((event, role))

    def disconnect(self, publisher_id: int, reason: str) -> None:
        self.disconnected.append((publisher_id, reason))


def publisher(number: int, protocol: str, role: Role = Role.PRIMARY) -> Publisher:
    return Publisher(number, "acme", "ev_1", "main", "192.0.2.1:9", 0, protocol, role)  # type: ignore[arg-type]


@pytest.fixture
def srt() -> Protocol:
    return Protocol()


@pytest.fixture
def whip() -> Protocol:
    return Protocol()


@pytest.fixture
def ingests(srt: Protocol, whip: Protocol) -> Ingests:
    made = Ingests()
    made.attach({"srt": srt, "whip": whip})
    return made


def test_the_other_protocol_learns_that_the_event_is_occupied(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    ingests.began(publisher(1, "srt"))
    assert (srt.occupied, whip.occupied) == (set(), {PRIMARY})


def test_primary_and_backup_do_not_keep_each_other_out(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    primary, backup = publisher(1, "srt"), publisher(2, "whip", Role.BACKUP)
    ingests.began(primary)
    ingests.began(backup)
    assert (srt.occupied, whip.occupied) == ({BACKUP}, {PRIMARY})
    ingests.ended(primary)
    assert (srt.occupied, whip.occupied) == ({BACKUP}, set())


def test_a_publisher_that_leaves_frees_its_event(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    one = publisher(1, "srt")
    ingests.began(one)
    ingests.ended(one)
    assert (srt.occupied, whip.occupied) == (set(), set())


def test_one_that_was_taken_over_frees_nothing_when_it_leaves(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    old, new = publisher(1, "srt"), publisher(2, "whip")
    ingests.began(old)
    ingests.began(new)
    ingests.ended(old)
    assert (srt.occupied, whip.occupied) == ({PRIMARY}, set())


def test_a_new_table_does_not_forget_who_is_there(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    ingests.began(publisher(1, "whip"))
    ingests.set_table(())
    assert (srt.occupied, whip.occupied) == ({PRIMARY}, set())
    assert srt.tables == whip.tables == [()]


def test_every_protocol_is_told_to_disconnect(
    ingests: Ingests, srt: Protocol, whip: Protocol
) -> None:
    ingests.disconnect(7, "over")
    assert srt.disconnected == whip.disconnected == [(7, "over")]


def test_only_a_publisher_that_can_be_asked_is_asked_for_a_keyframe(
    srt: Protocol, whip: Protocol
) -> None:
    asked: list[Place] = []
    ingests = Ingests()
    ingests.attach({"srt": srt, "whip": whip}, {"whip": asked.append})
    ingests.request_keyframe(publisher(1, "srt"))
    assert asked == []
    ingests.request_keyframe(publisher(2, "whip", Role.BACKUP))
    assert asked == [BACKUP]
