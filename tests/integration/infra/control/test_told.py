"""What happens to events is recorded as public events, by whoever makes it happen."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from infra.control.facts import REFUSED_AGAIN_MS, Outcome, apply_fact
from infra.db.outbox import OutboxMessage
from infra.events.facts import FactType, MediaFact
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration
T = FactType


@pytest.fixture
async def event(api: httpx2.AsyncClient) -> str:
    return str((await api.post("/v1/events", json={"name": "Launch"})).json()["id"])


def told(deployment: Deployment) -> list[tuple[str, dict[str, Any]]]:
    query = select(OutboxMessage).order_by(OutboxMessage.position)
    with deployment.reading() as session:
        rows = session.scalars(query).all()
    assert {row.project for row in rows} <= {"default"}
    return [(row.type, row.data) for row in rows]


def types(deployment: Deployment) -> list[str]:
    return [kind for kind, _ in told(deployment)]


def happen(deployment: Deployment, *facts: MediaFact) -> None:
    for fact in facts:
        with deployment.session() as session, session.begin():
            assert apply_fact(session, fact) is not Outcome.DUPLICATE


def fact(number: int, kind: FactType, event: str, at: int = 0, **detail: Any) -> MediaFact:
    return MediaFact(
        id=f"n1-b-{number}",
        type=kind,
        node="n1",
        at_ns=(NOW_MS + at) * 1_000_000,
        project="default",
        event=event,
        detail=detail,
    )


async def test_what_clients_change(
    api: httpx2.AsyncClient, deployment: Deployment, event: str
) -> None:
    assert told(deployment)[0] == ("event.created", {"name": "Launch", "state": "scheduled"})
    await api.patch(f"/v1/events/{event}", json={"name": "Start", "access": "token"})
    await api.post(f"/v1/events/{event}/rotate-key")
    await api.delete(f"/v1/events/{event}")
    await api.delete(f"/v1/events/{event}")
    assert types(deployment)[1:] == ["event.updated", "event.key_rotated", "event.cancelled"]
    assert told(deployment)[1][1]["changed"] == ["access", "name"]
    assert told(deployment)[3][1] == {
        "name": "Start", "state": "cancelled", "previous": "scheduled",
    }  # fmt: skip


async def test_markers(api: httpx2.AsyncClient, deployment: Deployment, event: str) -> None:
    wanted = {"kind": "poll", "title": "Who?", "data": {"poll_id": "p_17"}}
    marker = (await api.post(f"/v1/events/{event}/markers", json=wanted)).json()
    deployment.now_ms += 1000
    for _ in range(2):
        await api.patch(f"/v1/events/{event}/markers/{marker['id']}", json={"end": "now"})
    said = {"marker": marker["id"], **wanted, "start": marker["start"]}
    ended = {**said, "end": "2030-03-17T17:46:41.000Z"}
    assert told(deployment)[1:] == [
        ("marker.created", {**said, "end": None}), ("marker.ended", ended),
    ]  # fmt: skip


async def test_a_change_that_is_refused_is_not_told(
    api: httpx2.AsyncClient, deployment: Deployment, event: str
) -> None:
    assert (await api.post(f"/v1/events/{event}/end")).status_code == 409
    assert (await api.patch(f"/v1/events/{event}", json={"access": "x"})).status_code == 422
    assert types(deployment) == ["event.created"]


async def test_what_media_nodes_report(deployment: Deployment, event: str) -> None:
    happen(
        deployment,
        fact(1, T.PUBLISHER_CONNECTED, event, place="primary", peer="192.0.2.1:1", publisher=7),
        fact(2, T.PROGRAM_LIVE, event),
        fact(3, T.INGEST_WARNING, event, code="b-frames", message="Turn off B-frames."),
        fact(4, T.PUBLISHERS_PRESENT, event, primary=True),
        fact(5, T.PUBLISHER_LOST, event, reason="closed"),
        fact(6, T.PROGRAM_LIVE, event),
        fact(7, T.PROGRAM_ENDED, event),
    )
    assert told(deployment)[1:] == [
        ("ingest.connected", {"place": "primary"}),
        ("event.live", {"name": "Launch", "state": "live", "previous": "scheduled"}),
        ("ingest.warning", {"code": "b-frames", "message": "Turn off B-frames."}),
        ("ingest.lost", {"reason": "closed"}),
        ("event.reconnecting", {"name": "Launch", "state": "reconnecting", "previous": "live"}),
        ("event.live", {"name": "Launch", "state": "live", "previous": "reconnecting"}),
        ("event.ended", {"name": "Launch", "state": "ended", "previous": "live"}),
    ]


async def test_a_fact_applied_twice_is_told_once(deployment: Deployment, event: str) -> None:
    one = fact(1, T.PUBLISHER_CONNECTED, event, place="backup")
    happen(deployment, one)
    with deployment.session() as session, session.begin():
        assert apply_fact(session, one) is Outcome.DUPLICATE
    assert types(deployment) == ["event.created", "ingest.connected"]


async def test_an_encoder_that_is_refused_every_second_is_told_of_once(
    deployment: Deployment, event: str
) -> None:
    tries = [
        fact(n, T.PUBLISHER_REFUSED, event, at=n * 1000, reason="bad-key") for n in range(1, 6)
    ]
    happen(deployment, *tries, fact(6, T.PUBLISHER_REFUSED, event, at=6000, reason="busy"))
    later = 6000 + REFUSED_AGAIN_MS
    happen(deployment, fact(7, T.PUBLISHER_REFUSED, event, at=later, reason="bad-key"))
    assert told(deployment)[1:] == [
        ("ingest.refused", {"reason": reason}) for reason in ("bad-key", "busy", "bad-key")
    ]


async def test_what_is_nobodys_is_not_told(deployment: Deployment, event: str) -> None:
    refused = T.PUBLISHER_REFUSED
    stranger = fact(1, refused, "ev_unknown", reason="unknown-event")
    foreign = fact(2, refused, event, reason="bad-key").model_copy(update={"project": "other"})
    happen(deployment, stranger, foreign)
    assert types(deployment) == ["event.created"]
