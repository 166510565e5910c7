"""Viewers with a cap: one list for each rung, and nothing above it."""

import asyncio
from dataclasses import replace

import pytest

from hotpath.bus.stream import ProgramStream
from hotpath.hls.caps import CAPPED, capped, multivariant_under, rendition_of
from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import VIDEO, FormatChange, Item, ProgramEnd
from infra.renditions import RUNGS, within
from tests.support.asking import respond
from tests.support.coded import coded, marked
from tests.support.on_air import KEY, OnAir
from tests.support.rungs import with_rungs


@pytest.mark.parametrize(
    ("heights", "cap", "left"),
    [
        ({"video": 1080, "720p": 720, "360p": 360}, None, {"video", "720p", "360p"}),
        ({"video": 1080, "720p": 720, "360p": 360}, "1080p", {"video", "720p", "360p"}),
        ({"video": 1080, "720p": 720, "360p": 360}, "720p", {"720p", "360p"}),
        ({"video": 1080, "720p": 720, "360p": 360}, "480p", {"360p"}),
        ({"video": 1080, "720p": 720, "360p": 360}, "240p", {"360p"}),
        ({"video": 180, "720p": 720}, "240p", {"video"}),
        ({"video": 1080}, "240p", {"video"}),
        ({"video": 0, "720p": 720}, "720p", {"720p"}),
        ({"video": 0, "720p": 720}, "240p", {"720p"}),
        ({"video": 0}, "240p", {"video"}),
        ({}, "240p", set()),
    ],
)
def test_a_cap_takes_quality_and_never_the_picture(
    heights: dict[str, int], cap: str | None, left: set[str]
) -> None:
    assert within(heights, cap) == left


@pytest.mark.parametrize(
    ("asked", "cap", "gets"),
    [
        ("index.m3u8", "720p", "index-720p.m3u8"),
        ("index-captions.m3u8", "720p", "index-captions-720p.m3u8"),
        ("index-1080p.m3u8", "720p", "index-720p.m3u8"),
        ("index-360p.m3u8", "720p", "index-360p.m3u8"),
        ("video.m3u8", "720p", None),
        ("index-900p.m3u8", "720p", None),
        ("k1/video/s1.m4s", "720p", None),
    ],
)
def test_which_list_stands_in(asked: str, cap: str, gets: str | None) -> None:
    assert multivariant_under(asked, cap) == gets


def test_there_are_as_many_lists_as_rungs() -> None:
    assert len(CAPPED) == 2 * len(RUNGS)
    assert CAPPED[capped("index.m3u8", "480p")] == ("index.m3u8", "480p")


@pytest.mark.parametrize(
    ("name", "rendition"),
    [
        ("video.m3u8", "video"),
        ("720p.m3u8", "720p"),
        ("k1/720p/s1.0.m4s", "720p"),
        ("k1/720p/init-0.mp4", "720p"),
        ("k1", "k1"),
        ("k1/", ""),
    ],
)
def test_whose_a_name_is(name: str, rendition: str) -> None:
    assert rendition_of(name) == rendition


def programme(*, audio_only: bool = False) -> OnAir:
    live = HlsOrigin().open(
        KEY,
        "k1",
        access="public",
        part_target_ms=215,
        target_duration_s=1,
        audio_only=audio_only,
    )
    on_air = OnAir(HlsOrigin(), ProgramStream(KEY, "k1"), live)
    on_air.packaging = asyncio.ensure_future(on_air.packager.run())
    return on_air


async def over(on_air: OnAir) -> None:
    if not on_air.stream.ended:
        await on_air.publish([ProgramEnd(final=False)])
    assert on_air.packaging is not None
    await asyncio.wait_for(on_air.packaging, 5)


def tall(items: list[Item]) -> list[Item]:
    """The same, from a source that says it is 1080 lines high."""
    return [
        replace(item, format=replace(item.format, width=1920, height=1080))
        if isinstance(item, FormatChange) and item.format.track == VIDEO
        else item
        for item in items
    ]


async def variants(on_air: OnAir, name: str) -> list[str]:
    reply = await respond(on_air.live, name)
    assert reply.status == 200
    return [line for line in reply.body.decode().splitlines() if not line.startswith("#")]


async def test_a_list_has_what_its_cap_allows_and_the_rest_is_not_for_its_viewers() -> None:
    on_air = programme(audio_only=True)
    waiting = asyncio.ensure_future(respond(on_air.live, "index-480p.m3u8"))
    items = tall(marked(coded(seconds=4), target_duration_s=1))
    await on_air.publish(with_rungs(items, "720p", "360p"))
    assert (await waiting).status == 200
    everything = ["video.m3u8", "720p.m3u8", "360p.m3u8", "audio.m3u8"]
    assert await variants(on_air, "index.m3u8") == everything
    assert await variants(on_air, "index-1080p.m3u8") == everything
    assert await variants(on_air, "index-720p.m3u8") == everything[1:]
    assert await variants(on_air, "index-480p.m3u8") == everything[2:]
    assert await variants(on_air, "index-240p.m3u8") == everything[2:]
    live = on_air.live
    assert live.beyond("720p") == {VIDEO}
    assert live.under_cap("index.m3u8", "720p") == "index-720p.m3u8"
    for name in ("video.m3u8", "k1/video/s1.m4s", "k1/video/init-0.mp4"):
        assert live.under_cap(name, "720p") is None
        assert live.under_cap(name, "1080p") == name
    for name in ("360p.m3u8", "audio.m3u8", "k1/audio/s1.m4s", "captions.m3u8"):
        assert live.under_cap(name, "240p") == name
    await over(on_air)


async def test_where_there_is_nothing_lower_everything_is_shown() -> None:
    on_air = programme()
    await on_air.publish(tall(marked(coded(seconds=4), target_duration_s=1)))
    assert await variants(on_air, "index-240p.m3u8") == ["video.m3u8"]
    assert on_air.live.under_cap("video.m3u8", "240p") == "video.m3u8"
    assert (await respond(on_air.live, "index-999p.m3u8")).status == 404
    await over(on_air)
