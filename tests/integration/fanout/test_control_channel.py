"""The control channel over real HTTP: what viewers are told, and that it ends."""

import pytest

from hotpath.fanout.limits import Limits
from infra.auth.policy import Role, Tier
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChange, TierChanges
from tests.support.control_channel import listening
from tests.support.fanout import KEY, SECRETS, Plane, running_plane, token, until, watching

pytestmark = pytest.mark.integration


async def test_a_drain_and_then_the_end(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer, listening(plane, viewer) as heard:
        plane.service.drain("maintenance", lambda _key: "https://b.example/")
        there = f"https://b.example/live/{KEY}/whep"
        assert await heard.get() == ("drain", {"reason": "maintenance", "url": there})
        assert plane.service.sessions
        plane.service.close(KEY)
        assert await heard.get() == ("ended", {"reason": "event-over"})
        assert await heard.get() is None


async def test_who_was_reconnecting_hears_how_it_ended_and_once(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer:
        plane.service.close(KEY)
        events = f"{viewer.url}/events"
        assert (await plane.client.head(events)).status_code == 404
        elsewhere = events.replace(f"/{KEY.event}/", "/ev_2/")
        assert (await plane.client.get(elsewhere)).status_code == 404
        told = await plane.client.get(events)
        assert told.headers["content-type"].startswith("text/event-stream")
        assert told.headers["access-control-allow-origin"] == "*"
        assert told.text == 'retry: 2000\n\nevent: ended\ndata: {"reason":"event-over"}\n\n'
        assert (await plane.client.get(events)).status_code == 404


async def test_who_left_by_itself_is_told_nothing_more(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer:
        plane.service.drain("maintenance")
        assert (await plane.client.delete(viewer.url)).status_code == 200
        assert (await plane.client.get(f"{viewer.url}/events")).status_code == 404


async def test_a_head_request_leaves_the_reader_its_place(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer, listening(plane, viewer) as heard:
        head = await plane.client.head(f"{viewer.url}/events")
        assert head.headers["content-type"].startswith("text/event-stream")
        plane.service.drain("maintenance")
        assert await heard.get() == ("drain", {"reason": "maintenance"})


async def test_a_move_reaches_one_viewer(plane: Plane) -> None:
    plane.open()
    async with (
        watching(plane) as one,
        watching(plane) as other,
        listening(plane, one) as mine,
        listening(plane, other) as others,
    ):
        assert plane.service.move(one.session_id, "https://b.example", "balance")
        assert not plane.service.move("unknown", "https://b.example", "balance")
        there = f"https://b.example/live/{KEY}/whep"
        assert await mine.get() == ("move", {"url": there, "reason": "balance"})
        assert plane.service.end(KEY.event) == 2
        assert await others.get() == ("ended", {"reason": "event-over"})


async def test_a_node_that_takes_nobody_keeps_who_is_there(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer, listening(plane, viewer) as heard:
        plane.service.take(False)
        refused = await plane.client.post(plane.whep)
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "draining")
        await viewer.frames("video", 5)
        plane.service.take(True)
        async with watching(plane):
            assert len(plane.service.sessions) == 2
        assert plane.service.fall_back(viewer.session_id, "draining", "no other node")
        told = {"reason": "draining", "detail": "no other node"}
        assert await heard.get() == ("fallback", told)
        assert not plane.service.fall_back(viewer.session_id, "draining", "no other node")


async def test_a_programme_that_is_given_up_is_not_over(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer, listening(plane, viewer) as heard:
        plane.service.give_up(KEY)
        assert await heard.get() == ("drain", {"reason": "moved"})
        assert await heard.get() is None
        again = await plane.client.post(plane.whep)
        assert (again.status_code, again.headers["retry-after"]) == (404, "2")


async def test_a_revoked_viewer_hears_why_and_its_media_stops(plane: Plane) -> None:
    plane.play(access="token")
    headers = {"authorization": f"Bearer {token()}"}
    async with watching(plane, headers=headers) as viewer, listening(plane, viewer) as heard:
        await viewer.frames("video", 5)
        plane.access.set(SECRETS, {}, {KEY.event: Revoked(everybody=10_000)})
        assert plane.service.recheck() == 1
        told = {"reason": "token", "detail": "the token was called back"}
        assert await heard.get() == ("revoked", told)
        assert await heard.get() is None
        await until(lambda: viewer.peer.connectionState in ("closed", "failed"))


async def test_silence_carries_comments() -> None:
    async with running_plane(keep_alive_s=0.05) as plane:
        plane.open()
        async with watching(plane) as viewer, listening(plane, viewer) as heard:
            assert await heard.get() == ("", {})


async def test_a_stopping_server_does_not_wait_for_its_listeners() -> None:
    async with running_plane() as plane:
        plane.open()
        async with watching(plane) as viewer, listening(plane, viewer) as heard:
            plane.service.stop()
            assert await heard.get() == ("drain", {"reason": "node-stopping"})
            assert await heard.get() is None


async def test_a_viewer_of_another_tier_is_sent_to_hls_and_its_media_stops(plane: Plane) -> None:
    plane.play(access="token")
    headers = {"authorization": f"Bearer {token()}"}
    async with watching(plane, headers=headers) as viewer, listening(plane, viewer) as heard:
        await viewer.frames("video", 5)
        down = TierChanges.of([TierChange("v", Tier.BROADCAST, None, 0)])
        plane.access.set(SECRETS, {}, {}, {KEY.event: down})
        assert plane.service.recheck() == 1
        told = {"reason": "tier", "detail": "the tier of this viewer watches by LL-HLS"}
        assert await heard.get() == ("fallback", told)
        assert await heard.get() is None
        await until(lambda: viewer.peer.connectionState in ("closed", "failed"))


async def test_a_host_takes_the_place_of_a_viewer_who_is_told() -> None:
    async with running_plane(limits=Limits(viewers=1)) as plane:
        plane.play(access="token")
        viewer_of = {"authorization": f"Bearer {token()}"}
        host_of = {"authorization": f"Bearer {token(token_id='t2', role=Role.HOST)}"}
        async with watching(plane, headers=viewer_of) as viewer, listening(plane, viewer) as heard:
            await viewer.frames("video", 5)
            async with watching(plane, headers=host_of) as host:
                name, told = await heard.get() or ("", {})
                assert (name, told["reason"], told["retry_after_s"]) == (
                    "fallback", "place-taken", 30
                )  # fmt: skip
                await host.frames("video", 5)
