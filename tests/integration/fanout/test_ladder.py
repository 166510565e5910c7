"""A real client on a ladder: moved at keyframes, and back to the source when its rung ends."""

from dataclasses import replace

import pytest

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.choice import SECOND
from hotpath.fanout.metrics import FanoutCollector
from hotpath.fanout.viewer import ViewerSession
from hotpath.media.unit import VIDEO, FormatChange
from hotpath.webrtc.rtcp import ReceptionReport, build_receiver_report
from infra.auth.policy import Tier
from infra.auth.tier_changes import TierChange, TierChanges
from infra.renditions import RUNGS
from tests.support.coded import coded, marked
from tests.support.control_channel import listening
from tests.support.fanout import KEY, SECRETS, Plane, paced, token, until, watching
from tests.support.rungs import with_rungs

pytestmark = pytest.mark.integration


def shown(plane: Plane, session: ViewerSession) -> str | None:
    """The rendition whose frames the kernel sends to the viewer now."""
    assert session.viewer is not None
    stream = session.viewer.stats().stream
    names = {one.stream.id: one.name for one in session.feed.renditions}
    return None if stream is None else names.get(stream)


def report(session: ViewerSession, lost: float, seconds: range) -> None:
    """What its receiver would say of such a path, reviewed once a second."""
    block = ReceptionReport(1, session.randoms.ssrcs.video, int(lost * 256), 0, 0, 900, 1, 1)
    for second in seconds:
        session.peer_rtcp(build_receiver_report(1, [block], "c"), 0)
        session.review(second * SECOND)


def viewers(plane: Plane) -> dict[str, int]:
    """Renditions that somebody watches, as the metrics tell."""
    found = {}
    for metric in FanoutCollector(plane.service).collect():
        if metric.name == "livepath_webrtc_viewers":
            found = {one.labels["rendition"]: int(one.value) for one in metric.samples}
    assert set(found) == {"main", *RUNGS, "audio"}
    return {name: count for name, count in found.items() if count}


async def test_a_viewer_is_moved_between_renditions_at_keyframes(plane: Plane) -> None:
    items = with_rungs(marked(coded("h264", "opus", seconds=20)), "720p")
    plane.tasks.create_task(paced(plane.open(), items))
    async with watching(plane) as viewer:
        await viewer.frames("video", 5)
        session = plane.service.sessions[viewer.session_id]
        assert shown(plane, session) == "main"
        await until(lambda: len(session.feed.renditions) == 2)
        # Far ahead of the reviews that the plane makes by its own clock.
        report(session, 0.2, range(10**6, 10**6 + 4))
        await until(lambda: shown(plane, session) == "720p")
        assert viewers(plane) == {"720p": 1}
        before = await viewer.frames("video", 20)
        report(session, 0.0, range(10**6 + 4, 10**6 + 13))
        await until(lambda: shown(plane, session) == "main")
        after = await viewer.frames("video", 20)
    times = [frame.pts for frame in (*before, *after)]
    assert times == sorted(set(times))
    assert session.viewer is not None
    assert session.viewer.stats().frames_dropped == 0


async def test_the_viewers_of_a_rung_that_ends_see_the_source_again(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotpath.fanout.selection.RUNG_MISSED", 15)
    stream: ProgramStream = plane.open()
    items = marked(coded("h264", "opus", seconds=20))
    laddered = with_rungs(items[:450], "720p")
    playing = plane.tasks.create_task(paced(stream, [*laddered, *items[450:]]))
    async with watching(plane) as viewer:
        await viewer.frames("video", 5)
        session = plane.service.sessions[viewer.session_id]
        report(session, 0.2, range(10**6, 10**6 + 4))
        await until(lambda: shown(plane, session) == "720p")
        await until(lambda: len(session.feed.renditions) == 1)
        await until(lambda: shown(plane, session) == "main")
        frames = await viewer.frames("video", 30)
        assert len({bytes(frame.planes[0]) for frame in frames}) > 20
        assert not playing.done()


async def test_a_cap_that_changes_is_obeyed_by_the_running_session(plane: Plane) -> None:
    items = [
        replace(item, format=replace(item.format, width=1920, height=1080))
        if isinstance(item, FormatChange) and item.format.track == VIDEO
        else item
        for item in marked(coded("h264", "opus", seconds=20))
    ]
    stream = plane.open(access="token")
    plane.tasks.create_task(paced(stream, with_rungs(items, "720p")))
    headers = {"authorization": f"Bearer {token()}"}
    async with watching(plane, headers=headers) as viewer, listening(plane, viewer) as heard:
        await viewer.frames("video", 5)
        session = plane.service.sessions[viewer.session_id]
        await until(lambda: len(session.feed.renditions) == 2)
        for cap, rendition in (("720p", "720p"), (None, "main")):
            change = TierChanges.of([TierChange("v", Tier.STANDARD, cap, 0)])
            plane.access.set(SECRETS, {}, {}, {KEY.event: change})
            assert plane.service.recheck() == 0
            told = {"rendition": rendition, "reason": "the cap has changed"}
            assert await heard.get() == ("rendition", told)
            await until(lambda wanted=rendition: shown(plane, session) == wanted)
        await viewer.frames("video", 20)
