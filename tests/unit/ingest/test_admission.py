import base64
from dataclasses import replace
from typing import Any

import pytest
from hotpath.ingest._srt import lib

from hotpath.ingest.admission import REASONS, Reason, admission_table, decide, still_admitted
from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
from infra.events.desired import DesiredEvent, DesiredProject

SECRET = b"0123456789abcdef"
LATER = b"another secret of it"


def project(**secrets: bytes) -> DesiredProject:
    encoded = {kid: base64.b64encode(secret).decode() for kid, secret in secrets.items()}
    return DesiredProject(id="acme", secrets=encoded, revision=1)


PROJECT = project(k1=SECRET)


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


@pytest.mark.parametrize(
    ("connected", "stays", "reason"),
    [
        (3, 3, Reason.ADMITTED),
        (4, 3, Reason.ADMITTED),
        (2, 3, Reason.ROTATED_KEY),
        (3, None, Reason.ROTATED_KEY),
        (5, None, Reason.ADMITTED),
    ],
)
def test_who_is_connected_may_stay_while_the_key_is_replaced(
    connected: int, stays: int | None, reason: Reason
) -> None:
    (before,) = admission_table([PROJECT], [desired(generation=connected)])
    (now,) = admission_table([PROJECT], [desired(generation=5, staying_generation=stays)])
    assert still_admitted(before, now) is reason


@pytest.mark.parametrize(
    ("connected", "stays", "reason"),
    [
        (3, 3, Reason.ADMITTED),
        (4, 3, Reason.ADMITTED),
        (2, 3, Reason.ROTATED_KEY),
        (3, None, Reason.ROTATED_KEY),
    ],
)
def test_who_is_connected_may_stay_while_the_event_moves_to_another_secret(
    connected: int, stays: int | None, reason: Reason
) -> None:
    (before,) = admission_table([PROJECT], [desired(generation=connected)])
    moved = desired(kid="k2", generation=5, staying_generation=stays)
    (now,) = admission_table([project(k1=SECRET, k2=LATER)], [moved])
    assert still_admitted(before, now) is reason


def test_nobody_stays_whose_secret_is_retired() -> None:
    (before,) = admission_table([PROJECT], [desired()])
    moved = desired(kid="k2", generation=4, staying_generation=3)
    (after,) = admission_table([project(k2=LATER)], [moved])
    assert still_admitted(before, after) is Reason.ROTATED_KEY


def test_a_secret_opens_what_came_from_it_until_it_is_retired() -> None:
    event, moved = desired(id="ev_old"), desired(id="ev_new", kid="k2")
    token = whip_token(SECRET, "ev_old", "k1", 3)
    for kept, reason in (
        (project(k1=SECRET), None),
        (project(k1=SECRET, k2=LATER), None),
        (project(k2=LATER), Reason.UNKNOWN_EVENT),
    ):
        table = {row.event: row for row in admission_table([kept], [event, moved])}
        found = decide(table, "ev_old", token, busy=False)
        assert (None if found is table.get("ev_old") else found) is reason
    (new,) = admission_table([project(k2=LATER)], [moved])
    assert new.key == stream_key(LATER, "ev_new", "k2", 3)
    assert decide({"ev_new": new}, "ev_new", token, busy=False) is Reason.BAD_KEY


def test_reasons_stand_in_the_order_of_srt_c() -> None:
    for number, reason in enumerate(REASONS):
        assert getattr(lib, f"LP_{reason.name}") == number


def test_a_whip_publisher_is_let_in_by_its_token() -> None:
    (entry,) = admission_table([PROJECT], [desired()])
    assert entry.whip_token == whip_token(SECRET, "ev_1", "k1", 3)
    assert decide({"ev_1": entry}, "ev_1", entry.whip_token, busy=False) is entry


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, Reason.BAD_KEY),
        ("", Reason.BAD_KEY),
        ("k1.3.guess", Reason.BAD_KEY),
        ("k1.x.guess", Reason.BAD_KEY),
        ("k2.2.guess", Reason.BAD_KEY),
        ("k1.2.", Reason.BAD_KEY),
        ("schlüssel", Reason.BAD_KEY),
        (stream_key(SECRET, "ev_1", "k1", 3), Reason.BAD_KEY),
        (whip_token(SECRET, "ev_1", "k1", 2), Reason.ROTATED_KEY),
    ],
)
def test_a_whip_publisher_with_another_token_is_not(token: str | None, reason: Reason) -> None:
    (entry,) = admission_table([PROJECT], [desired()])
    assert decide({"ev_1": entry}, "ev_1", token, busy=False) is reason


def test_a_whip_publisher_needs_an_open_event_that_is_free_or_may_be_taken_over() -> None:
    (entry,) = admission_table([PROJECT], [desired()])
    token = entry.whip_token
    assert decide({}, "ev_1", token, busy=False) is Reason.UNKNOWN_EVENT
    assert decide({}, "ev_1", "k0.0." + 32 * "a", busy=False) is Reason.UNKNOWN_EVENT
    closed = replace(entry, open=False)
    assert decide({"ev_1": closed}, "ev_1", token, busy=False) is Reason.EVENT_CLOSED
    assert decide({"ev_1": entry}, "ev_1", token, busy=True) is Reason.BUSY
    free = replace(entry, takeover=True)
    assert decide({"ev_1": free}, "ev_1", token, busy=True) is free


def test_no_secret_of_an_entry_is_in_its_repr() -> None:
    (entry,) = admission_table([PROJECT], [desired()])
    for secret in (entry.key, entry.passphrase, entry.whip_token):
        assert secret not in repr(entry)
