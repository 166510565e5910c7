"""The JSON that clients get: stable bytes, and the fields that Standard Webhooks names."""

import json

from infra.events.facts import FactType, MediaFact
from infra.outbox.facts import told_of
from infra.outbox.message import Message

MESSAGE = Message(
    id="msg_1",
    sequence=7,
    project="acme",
    event="ev_1",
    type="event.live",
    data={"name": "Größe", "state": "live"},
    at_ms=1_900_000_000_001,
)


def test_the_body_names_type_time_and_data() -> None:
    assert json.loads(MESSAGE.json()) == {
        "id": "msg_1",
        "type": "event.live",
        "timestamp": "2030-03-17T17:46:40.001Z",
        "project": "acme",
        "event": "ev_1",
        "data": {"name": "Größe", "state": "live"},
    }


def test_a_message_is_one_line_and_always_the_same() -> None:
    assert MESSAGE.json() == MESSAGE.json()
    assert "\n" not in MESSAGE.json()


def test_only_promised_fields_of_a_fact_leave_the_house() -> None:
    detail = {"reason": "x" * 900, "peer": "192.0.2.1:9", "place": "primary", "code": {"a": 1}}
    fact = MediaFact(id="f", type=FactType.PUBLISHER_LOST, node="n", at_ns=0, detail=detail)
    assert told_of(fact) == {"reason": "x" * 500, "place": "primary"}
