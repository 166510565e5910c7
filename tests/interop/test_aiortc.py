"""aiortc as viewer and as publisher, with its own ICE, DTLS, SRTP, jitter buffer and decoders."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer

from tests.support.aiortc_client import publishing, viewing
from tests.support.media import Recipe, make_ts
from tests.support.webrtc import Node, until_playing, watching


async def test_it_watches_and_hears_the_programme(live: Node) -> None:
    async with viewing(live.whep_url) as watching:
        pictures = await watching.frames("video", 60)
        sounds = await watching.frames("audio", 50)
    assert {(p.width, p.height) for p in pictures} == {(640, 360)}
    # A moving picture: no two frames are alike.
    last = [p.to_ndarray(format="gray") for p in pictures[-2:]]
    assert np.abs(last[0].astype(int) - last[1].astype(int)).mean() > 0.5
    assert max(np.abs(s.to_ndarray().astype(int)).max() for s in sounds) > 1000


@contextmanager
def playing(path: str) -> Iterator[list[MediaStreamTrack]]:
    """The tracks of a file, over and over."""
    player = MediaPlayer(path, loop=True)
    tracks = [track for track in (player.video, player.audio) if track is not None]
    try:
        yield tracks
    finally:
        for track in tracks:
            track.stop()


async def test_what_it_publishes_reaches_every_kind_of_viewer(idle: Node) -> None:
    path = make_ts(idle.media.data / "published.ts", Recipe(seconds=8))
    with playing(str(path)) as tracks:
        async with publishing(idle.whip_url, idle.whip_token, tracks):
            await asyncio.to_thread(idle.until_on_air)
            await asyncio.to_thread(idle.until_on_air, "audio")
            await asyncio.to_thread(_watch, idle)
            async with viewing(idle.whep_url) as watching:
                pictures = await watching.frames("video", 30)
                sounds = await watching.frames("audio", 50)
    assert {(p.width, p.height) for p in pictures} == {(640, 360)}
    assert max(np.abs(s.to_ndarray().astype(int)).max() for s in sounds) > 1000


def _watch(node: Node) -> None:
    with watching(node.whep_url) as (viewers, viewer):
        until_playing(viewers, viewer)
