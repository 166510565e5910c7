"""An entry of the audit log holds ids and nothing else that a client sent."""

from dataclasses import replace

from prometheus_client import REGISTRY

from infra.control.audit import NOBODYS_A_MINUTE, AuditTrail, Deed, entry_of

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


def dropped() -> float:
    return REGISTRY.get_sample_value("livepath_control_audit_dropped_total") or 0


def test_what_does_not_fit_is_counted() -> None:
    trail, before = AuditTrail(waiting=1), dropped()
    for _ in range(3):
        trail.refused(entry_of(DEED, 1000))
    assert dropped() == before + 2


def test_who_guesses_keys_does_not_fill_the_log() -> None:
    trail, before = AuditTrail(), dropped()
    nobody = replace(DEED, key=None, project=None, status=401)
    for at in (59_999, 60_000):
        for _ in range(NOBODYS_A_MINUTE):
            trail.refused(entry_of(nobody, at))
    assert dropped() == before
    trail.refused(entry_of(nobody, 119_999))
    assert dropped() == before + 1
    # Whoever has a key is in the log all the same.
    trail.refused(entry_of(replace(DEED, status=403), 119_999))
    assert dropped() == before + 1
