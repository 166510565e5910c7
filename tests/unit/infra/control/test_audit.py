"""An entry of the audit log holds ids and nothing else that a client sent."""

from dataclasses import replace

from infra.control.audit import AuditTrail, Deed, entry_of

DEED = Deed(
    request="req_1",
    ip="203.0.113.7",
    key="key_1",
    project="default",
    operation="create_event_v1_events_post",
    objects={
        "event": "ev_1",
        "marker": "Bearer x",
        "job": "a\0b",
        "key": "lp_secret",
        "created": "mk_1",
    },
    status=201,
)


def test_what_is_no_id_stays_out() -> None:
    entry = entry_of(DEED, 1000)
    assert entry.objects == {"event": "ev_1", "created": "mk_1"}
    assert entry.event == "ev_1"
    assert (entry.outcome, entry.status, entry.created_ms) == ("done", 201, 1000)


def test_a_refusal_is_told_from_a_change() -> None:
    entry = entry_of(replace(DEED, status=409, objects={}, key=None, project=None), 1000)
    assert (entry.outcome, entry.status, entry.event) == ("refused", 409, None)


def test_a_full_queue_refuses_nobody() -> None:
    trail = AuditTrail(waiting=1)
    for _ in range(3):
        trail.refused(entry_of(DEED, 1000))
