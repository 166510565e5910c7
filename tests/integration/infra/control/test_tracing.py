"""One trace, from the request that schedules an event to the job that archives it, and to the
webhook that tells of it; every part is the real one, in this process."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis
from celery.app.task import Context
from sqlalchemy.orm import Session

from coldpath.app import create_app as celery_app
from coldpath.broker import Broker
from coldpath.deliveries import Deliveries
from coldpath.functions.registry import load
from coldpath.intake import Intake
from coldpath.ledger import Ledger
from coldpath.runner import Outcome, Runner
from hotpath.hls.uploader_schedule import Uploader
from hotpath.ingest.statistics import Publisher
from infra.control.app import create_app
from infra.control.publisher import desired_event
from infra.db.control import Event
from infra.db.webhooks import Webhook
from infra.events.desired import DesiredEvent, DesiredProject
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType
from infra.keys import ManifestKey, parse
from infra.manifest import SessionManifest
from infra.outbox.relay import Relay
from infra.publishers import Role
from infra.telemetry.tracing import start_tracing, stop_tracing
from infra.webhooks import signing
from infra.webhooks.deliveries import owe
from infra.webhooks.dispatcher import DispatchLimits, WebhookDispatcher
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.sending import Sender
from tests.integration.infra.control.conftest import KEY, NOW_MS, Deployment
from tests.support.collector import Collector, Seen
from tests.support.plain_http import NO_TLS
from tests.support.processes import until
from tests.support.programs import running
from tests.support.receiver import Received, Receiver
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CLIENT[3:35], CLIENT[36:52]
PROJECT = DesiredProject(id="default", secrets={}, revision=1)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        start_tracing("test", made.url, gather_s=0.02)
        yield made
        stop_tracing()


@pytest.fixture
async def traced(collector: Collector, deployment: Deployment) -> tuple[Collector, Deployment]:
    """A deployment whose app was made when somebody traced."""
    deployment.app = create_app(deployment.context)
    return collector, deployment


Traced = tuple[Collector, Deployment]


def row(deployment: Deployment, event: str) -> Event:
    with deployment.reading() as session:
        return session.get_one(Event, event)


async def schedule(deployment: Deployment, **headers: str) -> str:
    async with deployment.client(KEY) as api:
        answer = await api.post("/v1/events", json={"name": "Launch"}, headers=headers)
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def recorded(folder: Path, desired: DesiredEvent) -> None:
    """The event on the air for a moment; its session lies in the spool."""

    def wanted(*, is_open: bool) -> DesiredSnapshot:
        event = desired.model_copy(update={"open": is_open, "revision": 9})
        return DesiredSnapshot(epoch="e", projects={PROJECT.id: PROJECT}, events={event.id: event})

    async with running(folder, snapshot=wanted(is_open=True)) as node:
        node.sink.publisher_connected(
            Publisher(1, PROJECT.id, desired.id, "main", "peer", time.time_ns(), role=Role.PRIMARY)
        )
        node.publish(1)
        await until("it is live", lambda: bool(node.told(FactType.PROGRAM_LIVE)))
        node.programs.apply(wanted(is_open=False))
        manifests = folder / "spool" / "live" / PROJECT.id / desired.id
        await until("it is sealed", lambda: bool(list(manifests.glob("main/*/manifest.json"))))


async def uploaded(deployment: Deployment, spool: Path) -> str:
    """The key of the manifest, when everything is in the bucket."""
    uploader = Uploader(spool, deployment.bucket)
    thread = threading.Thread(target=uploader.run)
    thread.start()
    try:
        await until("the spool is empty", lambda: not list((spool / "live").iterdir()))
    finally:
        uploader.stop()
        await asyncio.to_thread(thread.join)
    (found,) = [o.key for o in deployment.bucket.list("") if isinstance(parse(o.key), ManifestKey)]
    return found


def filed(deployment: Deployment, manifest: str, valkey: ValkeyServer) -> tuple[str, str]:
    """The dispatcher hears of the manifest: (job, the trace in the headers of its message)."""
    broker = Broker(celery_app(valkey.url), valkey.url)
    client = redis.Redis.from_url(valkey.url)
    try:
        everything = load()
        registry = everything.without({f.name for f in everything} - {"archive"})
        ledger, deliveries = Ledger(deployment.engine), Deliveries(deployment.engine)
        intake = Intake(deployment.bucket, registry, ledger, deliveries, broker)
        (request,) = intake.file([manifest])
        assert intake.file([manifest]) == []
        (message,) = client.lrange(request.queue, 0, -1)
        headers = json.loads(message)["headers"]
        assert headers["id"] == request.id
        # As a worker finds it.
        return request.id, Context(headers).headers["traceparent"]
    finally:
        client.close()
        broker.close()


def worked(deployment: Deployment, job: str, traceparent: str | None, scratch: Path) -> Outcome:
    ledger = Ledger(deployment.engine)
    runner = Runner(ledger, deployment.bucket, load(), scratch=scratch, worker="w")
    return runner.run(job, traceparent)


async def delivered(deployment: Deployment, receiver: Receiver, count: int) -> list[Received]:
    """What the webhook is told."""
    databases, guard = deployment.databases, Guard(Allowed(http=True, private=True))
    relay = Relay(databases.writing, databases.reading, owe, lambda: None, deployment.clock)
    sender = Sender(guard, trusted=NO_TLS)
    limits = DispatchLimits(interval_s=0.02)
    dispatcher = WebhookDispatcher(
        relay, databases.writing, databases.reading, sender, deployment.clock, limits=limits
    )
    task = asyncio.create_task(dispatcher.run())
    try:
        await until("all is delivered", lambda: len(receiver.received) >= count)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()
        guard.close()
    return receiver.received


def hook(session: Session, url: str) -> None:
    session.add(
        Webhook(
            id="wh_1",
            project="default",
            url=url,
            types=["event.created", "job.succeeded"],
            secret=signing.secret_of(b"s" * signing.SECRET_BYTES),
            created_ms=NOW_MS,
            updated_ms=NOW_MS,
        )
    )


async def test_from_the_request_to_the_job_and_the_webhook(
    traced: Traced, valkey: ValkeyServer, tmp_path: Path
) -> None:
    collector, deployment = traced
    async with Receiver() as receiver:
        with deployment.session() as session, session.begin():
            hook(session, receiver.url)
        event = await schedule(deployment, traceparent=CLIENT)
        desired = desired_event(row(deployment, event), NOW_MS)
        await recorded(tmp_path, desired)
        manifest = await uploaded(deployment, tmp_path / "spool")
        job, traceparent = filed(deployment, manifest, valkey)
        assert worked(deployment, job, traceparent, tmp_path / "scratch") is Outcome.SUCCEEDED
        told = await delivered(deployment, receiver, 2)
    spans = {
        name: collector.one(name)
        for name in (
            "POST /v1/events",
            "publisher connect",
            "programme open",
            "file job",
            "job archive",
        )
    }
    collector.until("webhook attempt", "webhook attempt", "upload")
    assert {span.trace for span in collector.spans} == {TRACE}
    request, opened = spans["POST /v1/events"], spans["programme open"]
    assert request.parent == SPAN
    assert (opened.parent, spans["publisher connect"].parent) == (request.id, request.id)
    assert desired.traceparent == f"00-{TRACE}-{request.id}-01"
    written = SessionManifest.model_validate_json(deployment.bucket.get(manifest))
    assert written.traceparent == f"00-{TRACE}-{opened.id}-01"
    assert {upload.parent for upload in collector.named("upload")} == {opened.id}
    assert spans["file job"].parent == opened.id
    assert traceparent == f"00-{TRACE}-{spans['file job'].id}-01"
    assert spans["job archive"].parent == spans["file job"].id
    _require_attempts(told, collector.named("webhook attempt"), [request, spans["job archive"]])
    assert spans["job archive"].attributes["livepath.outcome"] == "succeeded"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/events",
        "http.response.status_code": 201,
        "livepath.project": "default",
        "livepath.request": request.attributes["livepath.request"],
    }


def _require_attempts(told: list[Received], attempts: list[Seen], parents: list[Seen]) -> None:
    """Each request carries its own span, which is the child of what it tells of."""
    sent = {request.headers["traceparent"] for request in told}
    assert sent == {f"00-{TRACE}-{attempt.id}-01" for attempt in attempts}
    assert sorted(attempt.parent for attempt in attempts) == sorted(span.id for span in parents)


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
class TestRequests:
    """The span of a call."""

    @pytest.mark.parametrize(
        "header", ["", "garbage", CLIENT.upper(), "00-" + "0" * 32 + CLIENT[35:], CLIENT * 100]
    )
    async def test_a_header_that_cannot_be_used_begins_another_trace(
        self, traced: Traced, header: str
    ) -> None:
        collector, deployment = traced
        event = await schedule(deployment, traceparent=header)
        found = collector.one("POST /v1/events")
        assert (found.parent, found.trace != TRACE) == ("", True)
        assert row(deployment, event).traceparent == f"00-{found.trace}-{found.id}-01"

    async def test_later_requests_have_traces_of_their_own_and_a_link(self, traced: Traced) -> None:
        collector, deployment = traced
        event = await schedule(deployment, traceparent=CLIENT)
        async with deployment.client(KEY) as api:
            assert (await api.delete(f"/v1/events/{event}")).status_code == 200
        found = collector.one("DELETE /v1/events/{event}")
        assert (found.trace != TRACE, found.links[0]) == (True, TRACE)
        assert found.attributes["livepath.event"] == event

    async def test_neither_keys_nor_what_was_asked_for_are_told(self, traced: Traced) -> None:
        collector, deployment = traced
        async with deployment.client("lp_a_secret_that_nobody_knows") as api:
            await api.get("/v1/events/ev_a?token=s3cret")
            await api.get("/v1/nothing/s3cret")
            await api.get("/v1/events/S3CRET-that-is-no-id")
            await api.get("/readyz")
        collector.until("GET /v1/events/{event}", "GET /v1/events/{event}", "HTTP")
        assert len(collector.spans) == 3
        assert "cret" not in repr(collector.spans).lower().replace("'secret", "")
        refused, _ = collector.named("GET /v1/events/{event}")
        assert refused.attributes["http.response.status_code"] == 401
        assert refused.failed is None


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_where_nobody_traces_nothing_is_kept(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    answer = await api.post("/v1/events", json={"name": "x"}, headers={"traceparent": CLIENT})
    event = row(deployment, answer.json()["id"])
    assert event.traceparent is None
    assert desired_event(event, NOW_MS).traceparent is None


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_without_a_collector_everything_works(
    deployment: Deployment, api: httpx2.AsyncClient, valkey: ValkeyServer
) -> None:
    gone = Collector()
    gone._server.server_close()
    start_tracing("test", gone.url, gather_s=0.01)
    try:
        began = time.monotonic()
        for _ in range(20):
            assert (await api.post("/v1/events", json={"name": "x"})).status_code == 201
        assert time.monotonic() - began < 10
    finally:
        stop_tracing(0.1)
