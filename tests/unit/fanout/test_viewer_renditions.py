"""Which rendition a viewer sees: what its path allows, what there is, what is due to it."""

import json

import pytest

from hotpath.fanout.choice import SECOND
from infra.auth.policy import Path as Way
from infra.auth.policy import Rights
from tests.support.viewer_session import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig().connect()


async def events(rig: Rig) -> list[tuple[str, str]]:
    """(rendition, reason) of everything that the viewer was told of its rendition."""
    rig.session.channel.close()
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    told = text.split("event: rendition\ndata: ")[1:]
    found = [json.loads(one.split("\n")[0]) for one in told]
    return [(one["rendition"], one["reason"]) for one in found]


async def test_a_viewer_that_cannot_keep_up_walks_down_the_ladder_and_back(rig: Rig) -> None:
    rig.feed.have("720p", "360p")
    assert rig.kernel.viewer.sees == "main"
    assert rig.report(0.2, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"
    assert rig.report(0.2, 4, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    # Retransmission repairs as much on the lowest one.
    assert rig.report(0.2, 20, 8) == []
    assert rig.report(0.0, 20, 28) == ["switch", "switch"]
    assert rig.kernel.viewer.sees == "main"
    assert [name for name, _ in await events(rig)] == ["720p", "360p", "720p", "main"]


async def test_a_viewer_whose_rendition_ends_sees_the_source_at_once(rig: Rig) -> None:
    rig.feed.have("720p", "360p")
    rig.report(0.2, 4)
    before = len(rig.calls)
    rig.feed.have("360p")
    assert rig.calls[before:] == [("attach", "video", "keyframe")]
    assert rig.kernel.viewer.sees == "main"
    # Its path is as it was, so it goes down again, to what there is.
    assert rig.report(0.2, 4, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    assert (await events(rig))[1] == ("main", "720p has ended")


async def test_a_viewer_keeps_its_rendition_when_others_come_and_go(rig: Rig) -> None:
    rig.feed.have("480p")
    rig.report(0.2, 4)
    for rungs in (("720p", "480p"), ("720p", "480p", "360p"), ("480p", "360p"), ("480p",)):
        rig.feed.have(*rungs)
        rig.session.review(4 * SECOND)
        assert rig.kernel.viewer.sees == "480p"
    assert [name for name, _ in await events(rig)] == ["480p"]
    assert rig.calls[-1] == ("switch",)


async def test_on_sound_alone_nothing_happens_when_a_rung_ends(rig: Rig) -> None:
    rig.feed.have("360p")
    rig.report(0.5, 15)
    assert rig.calls[-1] == ("detach", "video")
    before = len(rig.calls)
    rig.feed.have()
    assert rig.calls[before:] == []
    assert rig.report(0.0, 9, 15) == ["attach video keyframe"]
    assert rig.kernel.viewer.sees == "main"


def test_a_viewer_of_sound_is_not_concerned() -> None:
    rig = Rig("audio").connect()
    rig.feed.have("720p")
    rig.feed.have()
    assert rig.calls == [("attach", "audio", "live")]


def due(cap: str | None, path: Way = Way.BOTH) -> Rights:
    return Rights(path, cap, 0)


async def test_a_cap_is_obeyed_at_once_and_its_end_as_well(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    assert rig.kernel.viewer.sees == "main"
    rig.session.entitle(due("720p"))
    assert rig.kernel.viewer.sees == "720p"
    rig.session.entitle(due("480p"))
    assert rig.kernel.viewer.sees == "360p"
    rig.session.entitle(due(None))
    assert rig.kernel.viewer.sees == "main"
    rig.session.entitle(due(None))
    assert [name for name, _ in await events(rig)] == ["720p", "360p", "main"]


def test_a_viewer_with_a_cap_climbs_no_further(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    rig.session.entitle(due("720p"))
    assert rig.report(0.2, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "360p"
    assert rig.report(0.0, 60, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"


def test_whose_path_has_brought_it_down_stays_there_when_its_cap_is_lifted(rig: Rig) -> None:
    rig.feed.have("1080p", "720p", "360p")
    rig.session.entitle(due("720p"))
    rig.report(0.2, 4)
    rig.session.entitle(due(None))
    assert rig.kernel.viewer.sees == "360p"
    assert rig.report(0.0, 9, 4) == ["switch"]
    assert rig.kernel.viewer.sees == "720p"


def test_a_viewer_with_a_cap_sees_the_source_until_there_is_something_lower(rig: Rig) -> None:
    rig.session.entitle(due("360p"))
    assert rig.kernel.viewer.sees == "main"
    rig.feed.have("720p")
    assert rig.kernel.viewer.sees == "720p"
    rig.feed.have("720p", "360p")
    assert rig.kernel.viewer.sees == "360p"
    rig.feed.have("720p")
    assert rig.kernel.viewer.sees == "720p"


async def test_who_may_no_longer_watch_this_way_is_sent_to_the_other(rig: Rig) -> None:
    rig.session.entitle(due(None, Way.HLS))
    rig.session.entitle(due(None, Way.HLS))
    assert rig.over == ["tier"]
    assert rig.calls[-1] == ("close", True)
    text = b"".join([chunk async for chunk in rig.session.channel.stream(1)]).decode()
    assert 'event: fallback\ndata: {"reason":"tier",' in text


def test_an_audio_only_viewer_has_no_cap_to_obey() -> None:
    rig = Rig("audio").connect()
    rig.session.entitle(due("240p"))
    assert rig.calls == [("attach", "audio", "live")]
