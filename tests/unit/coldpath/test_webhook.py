import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from coldpath.s3events import ObjectCreated
from coldpath.webhook import MAX_BODY, Webhook
from infra.errors import StorageError

KEY = "live/p/e/main/i1/manifest.json"
EVENT = json.dumps(
    {"event_type": "create", "key": f"/buckets/b/{KEY}", "message": {"new_entry": {"name": "m"}}}
)
AUTHORIZED = {"Authorization": "Bearer secret"}


class Desk:
    """Takes events, or fails to."""

    def __init__(self) -> None:
        self.taken: list[ObjectCreated] = []
        self.error: Exception | None = None
        self.ready: str | None = None

    def take(self, events: list[ObjectCreated]) -> None:
        if self.error is not None:
            raise self.error
        self.taken += events


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    app = Webhook("secret", desk.take, {"s3": lambda: desk.ready}).app
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://dispatcher") as client:
        yield client


async def test_an_event_is_taken(client: httpx2.AsyncClient, desk: Desk) -> None:
    answer = await client.post("/events/seaweedfs", content=EVENT, headers=AUTHORIZED)
    assert (answer.status_code, answer.content) == (204, b"")
    assert desk.taken == [ObjectCreated("b", KEY)]


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Basic secret", "Bearer secret2", "Bearer sécret"]
)
async def test_without_the_token_nothing_is_taken(
    client: httpx2.AsyncClient, desk: Desk, authorization: str | None
) -> None:
    headers = {b"Authorization": authorization.encode()} if authorization else {}
    answer = await client.post("/events/seaweedfs", content=EVENT, headers=headers)
    assert answer.status_code == 401
    assert "LIVEPATH_WEBHOOK_TOKEN" in answer.json()["detail"]
    assert desk.taken == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\x00", b'{"event_type": 1}'])
async def test_bad_bodies_are_refused_with_a_reason(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/events/seaweedfs", content=body, headers=AUTHORIZED)
    assert answer.status_code == 400
    assert "SeaweedFS event" in answer.json()["detail"]


async def test_a_long_body_is_not_read_to_its_end(client: httpx2.AsyncClient) -> None:
    chunks = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal chunks
        while chunks < 100:
            chunks += 1
            yield b" " * (MAX_BODY // 4)

    answer = await client.post("/events/minio", content=body(), headers=AUTHORIZED)
    assert answer.status_code == 413
    assert chunks < 10


@pytest.mark.parametrize(
    "error", [StorageError("away"), OperationalError("select", {}, Exception("locked"))]
)
async def test_an_outage_is_said_so_that_the_sender_tries_again(
    client: httpx2.AsyncClient, desk: Desk, error: Exception
) -> None:
    desk.error = error
    answer = await client.post("/events/seaweedfs", content=EVENT, headers=AUTHORIZED)
    assert answer.status_code == 503


async def test_unknown_stores_and_paths(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/events/ftp", headers=AUTHORIZED)).status_code == 404
    assert (await client.get("/nothing")).status_code == 404


async def test_operations_paths(client: httpx2.AsyncClient, desk: Desk) -> None:
    assert (await client.get("/healthz")).status_code == 200
    assert "process_max_fds" in (await client.get("/metrics")).text
    assert (await client.get("/readyz")).json() == {"ready": True, "checks": {"s3": "ok"}}
    desk.ready = "away"
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"s3": "away"})
