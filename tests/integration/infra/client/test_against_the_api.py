"""The client and the API: every operation is answered as the client expects it."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.client import AsyncClient, Client, Conflict, Forbidden, NotFound, PreconditionFailed
from infra.client import errors as told
from infra.lifecycle import Trigger
from infra.webhooks import signing
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_asset, add_functions, add_job, advance
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[4] / "docs" / "client.md"
SOON = datetime(2030, 6, 1, 18, tzinfo=UTC)


async def listed(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


async def test_the_life_of_an_event(client: AsyncClient, deployment: Deployment) -> None:
    draft = await client.events.create(
        "Launch", draft=True, starts_at=SOON, labels={"team": "a"}, metadata={"x": [1]}
    )
    assert (draft.state, draft.starts_at, draft.ingest.srt) == ("draft", SOON, None)
    scheduled = await client.events.schedule(draft.id, if_match=draft.etag)
    assert scheduled.ingest.whip is not None
    changed = await client.events.update(
        draft.id, if_match=scheduled.etag, name="Later", starts_at=None
    )
    assert (changed.name, changed.starts_at, changed.labels) == ("Later", None, {"team": "a"})
    with pytest.raises(PreconditionFailed) as stale:
        await client.events.update(draft.id, if_match=scheduled.etag, name="Stale")
    assert (stale.value.status, "ETag" in stale.value.fix) == (412, True)
    rotated = await client.events.rotate_key(draft.id)
    assert rotated.ingest.whip is not None
    assert rotated.ingest.whip.token != scheduled.ingest.whip.token
    advance(deployment, draft.id, Trigger.PROGRAM_LIVE)
    assert (await client.events.wait_until(draft.id, "live")).started_at is not None
    assert (await client.events.end(draft.id)).state == "ended"
    with pytest.raises(told.WaitedInVain):
        await client.events.wait_until(draft.id, "live")
    with pytest.raises(Conflict):
        await client.events.cancel(draft.id)


async def test_lists_are_filtered_and_go_on_over_pages(
    client: AsyncClient, deployment: Deployment
) -> None:
    made = []
    for n in range(5):
        made.append(await client.events.create(f"e{n}", labels={"n": str(n % 2)}))
        deployment.now_ms += 1
    every = await listed(client.events.list(page_size=2))
    assert [one.id for one in every] == [one.id for one in reversed(made)]
    odd = await listed(client.events.list(labels={"n": "1"}, state=["scheduled"], page_size=1))
    assert [one.name for one in odd] == ["e3", "e1"]
    assert await listed(client.events.list(q="nothing", sort="starts_at")) == []


async def test_tokens_of_viewers(client: AsyncClient) -> None:
    event = await client.events.create("e", access="token")
    token = await client.events.create_token(event.id, ttl_s=60, subject="viewer-7")
    assert token.token in token.hls_url
    revoked = await client.events.revoke_tokens(event.id, subject="viewer-7")
    assert await listed(client.events.revocations(event.id)) == [revoked]
    changed = await client.events.change_tier(event.id, "viewer-7", "broadcast")
    assert await listed(client.events.tier_changes(event.id)) == [changed]
    made = [await client.signing_keys.create(at_once=True) for _ in range(2)]
    await client.signing_keys.retire(made[0].id)
    assert [key.id for key in (await client.signing_keys.all()).items] == [made[1].id]


async def test_secrets(client: AsyncClient) -> None:
    event = await client.events.create("e")
    made = await client.secrets.create()
    assert (made.kid, made.signs, made.open_events) == ("k2", True, 0)
    with pytest.raises(Conflict, match=event.id):
        await client.secrets.retire("k1")
    await client.events.rotate_key(event.id)
    await client.secrets.retire("k1")
    (left,) = (await client.secrets.all()).items
    assert (left.kid, left.open_events) == ("k2", 1)
    assert left.model_extra == {}


async def test_what_belongs_to_an_event(client: AsyncClient, deployment: Deployment) -> None:
    event = await client.events.create("e")
    add_functions(deployment, "clip-instant", "clip-exact", "replay")
    advance(deployment, event.id, Trigger.PROGRAM_LIVE)
    now = datetime.fromtimestamp(deployment.now_ms / 1000, UTC)
    deployment.now_ms += 60_000
    marker = await client.markers.create(event.id, "poll", title="?", data={"n": 3})
    assert (await client.markers.end(event.id, marker.id)).end is not None
    assert [one.id for one in await listed(client.markers.list(event.id))] == [marker.id]
    assert (await client.markers.get(event.id, marker.id)).data == {"n": 3}
    clip = await client.clips.create(
        event.id, now + timedelta(seconds=5), now + timedelta(seconds=9), mode="exact"
    )
    assert (await client.clips.get(event.id, clip.id)).start == now + timedelta(seconds=5)
    assert [one.id for one in await listed(client.clips.list(event.id))] == [clip.id]
    entry = {"at_ms": deployment.now_ms, "kind": "chat", "data": {"name": "Ada", "text": "!"}}
    replay = await client.replays.put(event.id, [entry])
    assert (await client.replays.get(event.id)).key == replay.key
    add_asset(deployment, event.id, add_job(deployment, event.id))
    (asset,) = await listed(client.assets.list(event.id))
    assert asset.url.startswith("http")
    assert await listed(client.assets.list(event.id, kind="nothing")) == []


async def test_jobs_and_functions(client: AsyncClient, deployment: Deployment) -> None:
    event = await client.events.create("e")
    add_functions(deployment, "fast")
    assert [one.name for one in await listed(client.functions.list())] == ["fast"]
    job = await client.jobs.create(event.id, "fast", params={"a": 1})
    assert job.params == {"a": 1}
    assert (await client.jobs.cancel(job.id)).state == "cancelled"
    dead = add_job(deployment, event.id, state="dead")
    assert (await client.jobs.retry(dead)).attempts
    assert len(await listed(client.jobs.list(event=event.id))) == 2
    assert (await client.jobs.get(job.id)).attempts == ()
    with pytest.raises(told.WaitedInVain, match="is cancelled"):
        await client.jobs.wait(job.id)
    done = add_job(deployment, event.id, "job_2")
    assert (await client.jobs.wait(done)).state == "succeeded"


async def test_keys_projects_and_the_audit_log(client: AsyncClient, deployment: Deployment) -> None:
    made = await client.keys.create("chat", ["events:read"])
    assert (await client.keys.get(made.id)).scopes == ("events:read",)
    transport = httpx2.ASGITransport(deployment.app)
    async with AsyncClient("http://control.test", made.secret, transport=transport) as weak:
        with pytest.raises(Forbidden, match="lacks the scope events:write") as refused:
            await weak.events.create("no")
    rotated = await client.keys.rotate(made.id, grace_s=60)
    assert rotated.previous_until is not None
    assert (await client.keys.revoke(made.id)).revoked_at is not None
    assert made.id in [one.id for one in await listed(client.keys.list())]
    project = await client.projects.create("Football")
    assert (await client.projects.rename(project.id, "Rugby")).name == "Rugby"
    assert (await client.projects.get(project.id)).organisation == "default"
    assert project.id in [one.id for one in await listed(client.projects.list())]
    club = await client.organisations.create("Ski club", project="Races")
    assert (await client.organisations.rename(club.id, "Board club")).name == "Board club"
    assert (await client.organisations.get(club.id)).created_at == club.created_at
    assert club.id in [one.id for one in await listed(client.organisations.list(page_size=1))]
    assert await listed(client.organisations.projects(club.id)) == [club.project]
    await deployment.settle()
    entries = await listed(client.audit.list(outcome="refused", key=made.id))
    assert [one.request_id for one in entries] == [refused.value.request_id]


async def test_webhooks(client: AsyncClient) -> None:
    hook = await client.webhooks.create("https://192.0.43.10/hook", types=["event.*"])
    assert signing.signature(hook.secret, "msg", 1, b"{}").startswith("v1,")
    assert (await client.webhooks.update(hook.id, enabled=False)).enabled is False
    assert (await client.webhooks.update(hook.id, enabled=True)).types == ("event.*",)
    assert (await client.webhooks.get(hook.id)).model_extra == {}
    assert (await client.webhooks.rotate_secret(hook.id, grace_s=60)).secret != hook.secret
    sent = await client.webhooks.test(hook.id)
    (found,) = await listed(client.webhooks.deliveries(hook.id, state="pending"))
    assert found.id == sent.id
    assert (await client.webhooks.delivery(hook.id, sent.id)).data is not None
    again = await client.webhooks.replay(hook.id, SOON, SOON + timedelta(hours=1))
    assert (again.deliveries, again.next_since) == (0, None)
    assert [one.id for one in await listed(client.webhooks.list())] == [hook.id]
    await client.webhooks.delete(hook.id)
    with pytest.raises(NotFound):
        await client.webhooks.get(hook.id)


async def test_a_repeated_key_makes_nothing_twice(client: AsyncClient) -> None:
    first = await client.events.create("once", idempotency_key="k1")
    assert (await client.events.create("once", idempotency_key="k1")).id == first.id
    with pytest.raises(Conflict):
        await client.events.create("twice", idempotency_key="k1")
    assert len(await listed(client.events.list())) == 1


class Forgetful(httpx2.ASGITransport):
    """Carries the first request out and loses its answer."""

    lost = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        if self.lost == 0:
            self.lost += 1
            raise httpx2.ReadError("the connection broke")
        return answer


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_made_twice(
    deployment: Deployment,
) -> None:
    transport = Forgetful(deployment.app)
    async with AsyncClient("http://control.test", KEY, transport=transport) as client:
        event = await client.events.create("once")
        assert transport.lost == 1
        assert [one.id for one in await listed(client.events.list())] == [event.id]


async def test_the_example_of_the_page_runs(
    served: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    real = httpx2.Client
    # The machine's root certificates take a while to read, and nothing here is encrypted.
    monkeypatch.setattr(httpx2, "Client", lambda **given: real(**{**given, "verify": NO_TLS}))
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    link = await asyncio.to_thread(names["schedule"], served, KEY)
    printed = capsys.readouterr().out
    assert "Launch day 2030-06-01 18:00:00+00:00" in printed
    assert "srt://media.test:8082?streamid=" in printed
    assert link.startswith("http://control.test/watch/")
    secret = signing.secret_of(b"s" * 32)
    body = b'{"type": "event.live"}'
    sent = int(datetime.now(UTC).timestamp())
    headers = dict(signing.headers([secret], "msg_1", sent, body))
    assert names["receive"](body, headers, secret) == "event.live"


async def test_a_blocking_client_over_a_socket(served: str) -> None:
    def talk() -> None:
        transport = httpx2.HTTPTransport(verify=NO_TLS)
        with Client(served, KEY, transport=transport) as client:
            made = client.events.create("e")
            assert client.events.cancel(made.id, if_match=made.etag).state == "cancelled"
            assert [one.id for one in client.events.list()] == [made.id]
            with pytest.raises(NotFound, match="Check the path"):
                client.events.get("../keys")

    await asyncio.to_thread(talk)
