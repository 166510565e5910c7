"""What a media node holds: never older within an epoch, never lost to an unreadable record."""

import json

from infra.events.desired import DesiredEvent, DesiredProject, event_field, project_field
from infra.events.desired_state import DesiredSnapshot, parse


def event(revision: int, event_id: str = "ev_1", *, is_open: bool = True) -> DesiredEvent:
    return DesiredEvent(
        id=event_id,
        project="acme",
        revision=revision,
        open=is_open,
        access="public",
        kid="k1",
        generation=1,
        takeover=False,
    )


def fields(*records: DesiredEvent | DesiredProject) -> dict[str, str]:
    return {
        (
            project_field(record.id)
            if isinstance(record, DesiredProject)
            else event_field(record.id)
        ): record.model_dump_json()
        for record in records
    }


PROJECT = DesiredProject(id="acme", secrets={"k1": "AAAA"}, revision=1)
HELD = DesiredSnapshot().replaced("e1", fields(PROJECT, event(5)))


def test_a_full_load_takes_everything() -> None:
    assert HELD.projects == {"acme": PROJECT}
    assert HELD.events == {"ev_1": event(5)}


def test_a_lower_revision_is_stale() -> None:
    assert HELD.updated(fields(event(4, is_open=False))) == HELD
    assert HELD.replaced("e1", fields(PROJECT, event(4))) == HELD
    assert HELD.updated(fields(event(6, is_open=False))).events["ev_1"].revision == 6


def test_another_epoch_counts_anew() -> None:
    assert HELD.replaced("e2", fields(PROJECT, event(2))).events["ev_1"].revision == 2


def test_what_the_bus_forgot_is_gone() -> None:
    assert HELD.updated({"event:ev_1": None}).events == {}
    assert HELD.replaced("e1", fields(PROJECT)).events == {}


def test_an_unreadable_record_leaves_the_held_one() -> None:
    assert HELD.updated({"event:ev_1": "{"}) == HELD
    assert HELD.replaced("e1", {**fields(PROJECT), "event:ev_1": '{"id":1}'}) == HELD


def test_a_record_under_the_wrong_field_is_unreadable() -> None:
    assert parse("event:ev_2", event(1).model_dump_json()) is None
    assert parse("project:acme", event(1).model_dump_json()) is None
    assert parse("nonsense", event(1).model_dump_json()) is None


def test_a_record_from_before_a_field_has_what_events_had_then() -> None:
    old = event(5).model_dump(mode="json")
    del old["renditions"], old["dvr_window_s"]
    state = DesiredSnapshot().replaced("e1", {"event:ev_1": json.dumps(old)})
    kept = state.events["ev_1"]
    assert (kept.renditions, kept.dvr_window_s) == ((), 0)


def test_a_snapshot_survives_the_disk() -> None:
    assert DesiredSnapshot.model_validate_json(HELD.model_dump_json()) == HELD
