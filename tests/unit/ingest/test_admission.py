import base64
from typing import Any

from hotpath.ingest._srt import lib

from hotpath.ingest.admission import REASONS, Reason, admission_table, still_admitted
from infra.auth.streamkeys import srt_passphrase, stream_key
from infra.events.desired import DesiredEvent, DesiredProject

SECRET = b"0123456789abcdef"
PROJECT = DesiredProject(id="acme", secrets={"k1": base64.b64encode(SECRET).decode()}, revision=1)


def desired(**changes: Any) -> DesiredEvent:
    fields: dict[str, Any] = {
        "id": "ev_1",
        "project": "acme",
        "revision": 1,
        "open": True,
        "access": "public",
        "kid": "k1",
        "generation": 3,
        "takeover": False,
    }
    return DesiredEvent(**fields | changes)


def test_an_entry_has_the_key_and_passphrase_that_control_hands_out() -> None:
    (entry,) = admission_table([PROJECT], [desired()])
    assert entry.key == stream_key(SECRET, "ev_1", "k1", 3)
    assert entry.passphrase == srt_passphrase(SECRET, "ev_1", "k1", 3)
    assert (entry.project, entry.event, entry.feed, entry.open) == ("acme", "ev_1", "main", True)


def test_mappings_are_taken_as_well_as_lists() -> None:
    assert admission_table({"acme": PROJECT}, {"ev_1": desired()}) == admission_table(
        [PROJECT], [desired()]
    )


def test_events_whose_secret_is_not_known_here_are_left_out() -> None:
    events = [desired(kid="k9"), desired(project="other")]
    assert admission_table([PROJECT], events) == []


def test_a_secret_that_does_not_decode_admits_nobody() -> None:
    broken = DesiredProject(id="acme", secrets={"k1": "not base64!"}, revision=1)
    assert admission_table([broken], [desired()]) == []


def test_who_is_in_stays_only_while_the_table_would_let_them_in() -> None:
    (before,) = admission_table([PROJECT], [desired()])
    (closed,) = admission_table([PROJECT], [desired(open=False)])
    (rotated,) = admission_table([PROJECT], [desired(generation=4)])
    assert still_admitted(before, before) is Reason.ADMITTED
    assert still_admitted(before, closed) is Reason.EVENT_CLOSED
    assert still_admitted(before, rotated) is Reason.ROTATED_KEY
    assert still_admitted(before, None) is Reason.UNKNOWN_EVENT


def test_reasons_stand_in_the_order_of_srt_c() -> None:
    for number, reason in enumerate(REASONS):
        assert getattr(lib, f"LP_{reason.name}") == number
