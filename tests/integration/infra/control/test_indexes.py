"""What lists and loops ask for often is found by an index, on both databases, in a full table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, event, text

from infra.control.facts import FactConsumer
from infra.control.publisher import KEEP_CLOSED_MS, DesiredPublisher
from infra.events.bus import connect
from infra.events.desired_bus import DesiredBus
from infra.events.facts_bus import FactReader
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
ROWS = 20_000
LONG_AGO_MS = NOW_MS - 100 * KEEP_CLOSED_MS
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
# Half of everything is the project's; one event in a thousand is live, and those are old.
PROJECT = "CASE WHEN i % 2 = 0 THEN 'default' ELSE 'other' END"
MOMENT = f"{LONG_AGO_MS} + i * 1000"
EVENTS = f"""
{NUMBERS} INSERT INTO events (id, project, name, state, access, takeover, reconnect_window_s,
  target_duration_s, kid, generation, revision, published_revision, recording_degraded,
  created_ms, updated_ms, starts_at_ms)
SELECT 'ev_' || i, {PROJECT}, 'x', CASE WHEN i % 1000 = 2 AND i < {ROWS} / 2 THEN 'live'
  ELSE 'ended' END, 'public', false, 60, 2, 'k1', 1, 1, 1, false, {MOMENT}, {MOMENT},
  CASE WHEN i % 3 = 0 THEN NULL ELSE {LONG_AGO_MS} + (i * 7919 % {ROWS}) * 1000 END FROM n
"""
JOBS = f"""
{NUMBERS} INSERT INTO jobs (id, project, event, feed, function, input_key, input_version, queue,
  state, attempt_count, max_attempts, progress, fence, outputs, cost, created_ms, updated_ms,
  timeout_s, params)
SELECT 'job_' || i, {PROJECT}, 'ev_' || (i % 500), 'main', 'f', 'k' || i, 'v', 'q', 'succeeded',
  1, 3, 1000, 1, '{{}}', '{{}}', {MOMENT}, {MOMENT}, 3600, '{{}}' FROM n
"""
FACTS = f"""
{NUMBERS} INSERT INTO facts (id, project, event, type, at_ms, detail)
SELECT 'fact_' || i, {PROJECT}, 'ev_' || (i % 500), 'program.live', {NOW_MS} + i * 1000, '{{}}'
FROM n
"""


@pytest.fixture
def full(deployment: Deployment) -> Deployment:
    with deployment.engine.begin() as connection:
        for statement in (EVENTS, JOBS, FACTS):
            connection.execute(text(statement))
        if deployment.engine.dialect.name == "postgresql":
            # SQLite of a deployment is never analysed, so neither is it here.
            connection.execute(text("ANALYZE"))
    return deployment


@contextmanager
def explained(deployment: Deployment) -> Iterator[list[str]]:
    """The plans of all statements that are executed within."""
    plans: list[str] = []
    word = "EXPLAIN" if deployment.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"

    def explain(connection: Connection, *call: Any) -> None:
        _cursor, statement, parameters = call[:3]
        if statement.startswith(("SELECT", "DELETE")):
            rows = connection.exec_driver_sql(f"{word} {statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))

    # The one that only reads is made from it, and tells of its statements as well.
    engine = deployment.databases.writing.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", explain)
    yield plans
    event.remove(engine, "before_cursor_execute", explain)


@pytest.mark.parametrize(
    ("path", "index"),
    [
        ("/v1/jobs?limit=3", "ix_jobs_project_created_ms_id"),
        ("/v1/events?limit=3&state=live", "ix_events_state_project_created_ms_id"),
        ("/v1/events?limit=3&sort=starts_at", "ix_events_start"),
        ("/v1/events?limit=3&sort=-starts_at", "ix_events_start"),
    ],
)
async def test_pages_of_lists(
    full: Deployment, api: httpx2.AsyncClient, path: str, index: str
) -> None:
    first = (await api.get(path)).json()
    assert len(first["items"]) == 3
    with explained(full) as plans:
        second = await api.get(f"{path}&after={first['next']}")
    assert len(second.json()["items"]) == 3
    (page,) = [plan for plan in plans if index in plan]
    assert "Sort" not in page
    assert "TEMP B-TREE" not in page


async def test_what_nodes_are_to_know(full: Deployment, valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client:
        publisher = DesiredPublisher(DesiredBus(client), full.databases, full.clock)
        with explained(full) as plans:
            await publisher.publish()
    (plan,) = [plan for plan in plans if "ix_events_updated_ms" in plan]
    assert "ix_events_state_project_created_ms_id" in plan


async def test_facts_that_are_to_be_deleted(full: Deployment, valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client:
        consumer = FactConsumer(
            FactReader(client, "test"), full.databases, full.ring, lambda: NOW_MS
        )
        with explained(full) as plans:
            await consumer.step(block_ms=1)
    assert any("ix_facts_at_ms" in plan for plan in plans), plans
