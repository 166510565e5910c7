"""An event from its draft to its recording, through the Python client alone, told by webhook."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from infra.client import AsyncClient, PreconditionFailed, WaitedInVain, verify
from infra.client.models import Event, Message, NewWebhook
from tests.e2e.following import TIMEOUT_S, Follower, followed
from tests.support.m3u8 import Playlist
from tests.support.medianode import encoding
from tests.support.receiver import Receiver
from tests.support.stack import RunningStack

PATIENCE_S = 60.0
AHEAD = timedelta(seconds=12)
"""From the draft to the start: longer than it takes to schedule it and to see the lobby open."""
LOBBY_S = 7
LIFE = [
    *("event.created", "event.updated", "event.scheduled", "event.lobby", "event.live"),
    *("event.reconnecting", "event.live", "event.key_rotated", "event.ended", "event.archived"),
]


@pytest.fixture
async def client(stack: RunningStack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.endpoints.control_url, stack.api_key) as made:
        yield made


class Ear:
    """What a webhook was told of one event, with every signature checked."""

    def __init__(self, receiver: Receiver, hook: NewWebhook) -> None:
        self._receiver = receiver
        self._hook = hook

    @property
    def messages(self) -> list[Message]:
        secret, now = self._hook.secret, time.time()
        return [verify(one.body, one.headers, secret, now) for one in self._receiver.received]

    def heard(self, kind: str, **data: str) -> bool:
        return any(m.type == kind and data.items() <= m.data.items() for m in self.messages)

    async def hears(self, kind: str, **data: str) -> None:
        async def told() -> bool:
            return self.heard(kind, **data)

        await until(f"{kind} {data} is told", told)


async def until(what: str, condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        await asyncio.sleep(0.05)


async def until_answers(url: str, status: int) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as viewer:

        async def answers() -> bool:
            return (await viewer.get(url)).status_code == status

        await until(f"a viewer is answered {status}", answers)


async def prepared(client: AsyncClient) -> Event:
    """A draft that two changed who had seen the same, scheduled to start by the clock."""
    starts_at = datetime.now(UTC) + AHEAD
    draft = await client.events.create(
        "Launch day", draft=True, access="token",
        starts_at=starts_at, auto_start="at_time", lobby_opens_s=LOBBY_S,
    )  # fmt: skip
    assert (draft.state, draft.ingest.srt) == ("draft", None)
    await client.events.update(draft.id, if_match=draft.etag, labels={"team": "sales"})
    with pytest.raises(PreconditionFailed):
        await client.events.update(draft.id, if_match=draft.etag, labels={"team": "support"})
    event = await client.events.schedule(draft.id)
    assert (event.state, event.labels) == ("scheduled", {"team": "sales"})
    return event


async def until_live(client: AsyncClient, event: str, encoders: ExitStack, url: str) -> None:
    """An encoder that is refused because the node does not know the event yet comes again."""

    async def live() -> bool:
        encoders.enter_context(encoding(url))
        try:
            await client.events.wait_until(event, "live", timeout_s=2 * LOBBY_S, every_s=0.2)
        except WaitedInVain:
            encoders.close()
            return False
        return True

    await until("the event is live", live)


async def until_goes_on(player: Follower, before: Playlist) -> Playlist:
    """The playlist once two segments that were not begun in `before` are complete."""
    found = [before]

    async def goes_on() -> bool:
        found[0] = await player.playlist()
        return found[0].open.msn >= before.open.msn + 2

    await until("two more segments are complete", goes_on)
    return found[0]


def assert_uncut(before: Playlist, after: Playlist) -> None:
    """One sequence of segments, all of them there, of the same programme and format."""
    later = [one for one in [*after.segments, after.open] if one.msn >= before.open.msn]
    assert [one.msn for one in later] == list(range(before.open.msn, after.open.msn + 1))
    assert {one.discontinuity for one in later} == {before.open.discontinuity}
    assert {one.map for one in later} == {before.open.map}
    assert not any(one.gap or any(part.gap for part in one.parts) for one in later)


async def until_stands_by(client: AsyncClient, event: str) -> None:
    async def stands_by() -> bool:
        ingest = (await client.events.get(event)).ingest
        return ingest.backup.connected and ingest.active == "primary"

    await until("the backup stands by", stands_by)


async def until_refused(ear: Ear, url: str) -> None:
    """An encoder with the old key comes again and again: the first time the node may not know."""

    async def refused() -> bool:
        with encoding(url, goodbye=True):
            for _ in range(20):
                if ear.heard("ingest.refused", reason="rotated-key"):
                    return True
                await asyncio.sleep(0.1)
        return False

    await until("an encoder with the old key is refused", refused)


def srt(event: Event) -> tuple[str, str]:
    """Addresses of the primary and the backup."""
    assert event.ingest.srt is not None
    return event.ingest.srt.url, event.ingest.srt.backup_url


async def rotated_unseen(client: AsyncClient, ear: Ear, event: Event, hls_url: str) -> Event:
    """With a new key, that only encoders which come after it must know: viewers see no cut."""
    async with httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as viewer:
        player = await followed(viewer, hls_url)
        before = await player.playlist()
        rotated = await client.events.rotate_key(event.id, disconnect=False)
        await until_refused(ear, srt(event)[1])
        assert_uncut(before, await until_goes_on(player, before))
    return rotated


async def test_an_event_lives_its_whole_life(client: AsyncClient) -> None:
    async with Receiver() as receiver:
        hook = await client.webhooks.create(receiver.url, types=["event.*", "ingest.*"])
        ear = Ear(receiver, hook)
        event = await prepared(client)
        assert event.starts_at is not None
        ada, bob = [await client.events.create_token(event.id, subject=s) for s in ("ada", "bob")]
        primary, _ = srt(event)
        await ear.hears("event.lobby")
        with ExitStack() as encoders:
            with ExitStack() as first:
                await until_live(client, event.id, first, primary)
                await until_answers(ada.hls_url, 200)
            # The only encoder is gone, and comes back.
            await ear.hears("event.reconnecting")
            with ExitStack() as again:
                await until_live(client, event.id, again, primary)
                rotated = await rotated_unseen(client, ear, event, bob.hls_url)
                encoders.enter_context(encoding(srt(rotated)[1], goodbye=True))
                await until_stands_by(client, event.id)
            # The primary is gone without a word.
            await ear.hears("ingest.switched")
            running = await client.events.get(event.id)
            assert running.state == "live"
            assert running.started_at is not None
            assert running.started_at >= event.starts_at
            await client.events.revoke_tokens(event.id, subject="ada")
            await until_answers(ada.hls_url, 401)
            await until_answers(bob.hls_url, 200)
            await client.events.end(event.id)
        await client.events.wait_until(event.id, "archived", timeout_s=PATIENCE_S)
        await ear.hears("event.archived")
        assert [asset async for asset in client.assets.list(event.id)]
        await client.webhooks.delete(hook.id)
    told = [message for message in ear.messages if message.event == event.id]
    assert [m.type for m in told if m.type.startswith("event.")] == LIFE
    assert len({message.id for message in told}) == len(told)
