"""An exact clip in a real browser: whole, from its first picture to its last."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.async_api import Browser

from coldpath.media.cut import cut
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.window import Window, within
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.session import EPOCH_NS, Track, encode, session

pytestmark = pytest.mark.asyncio(loop_scope="session")

FPS, WIDTH, HEIGHT = 25, 320, 180
FIRST, LAST = 35, 114
"""Numbers of the source's pictures that the clip begins and ends with."""

OPEN = """async () => {
    const video = Object.assign(document.createElement("video"), {muted: true});
    document.body.append(video);
    const file = await (await fetch("/clip.mp4")).blob();
    const ready = new Promise((resolve, reject) => {
        video.oncanplaythrough = resolve;
        video.onerror = () => reject(new Error(video.error.message));
    });
    video.src = URL.createObjectURL(file);
    await ready;
    return [video.duration, video.videoWidth, video.videoHeight];
}"""
PICTURE = """async ([at, width, height]) => {
    const video = document.querySelector("video");
    const there = new Promise((resolve) => (video.onseeked = resolve));
    video.currentTime = at;
    await there;
    const canvas = Object.assign(document.createElement("canvas"), {width, height});
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const {data} = context.getImageData(0, 0, width, height);
    const grey = [];
    for (let i = 0; i < data.length; i += 4)
        grey.push(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]));
    return grey;
}"""
PLAY = """async () => {
    const video = document.querySelector("video");
    video.currentTime = 0;
    const over = new Promise((resolve, reject) => {
        video.onended = resolve;
        video.onerror = () => reject(new Error(video.error.message));
    });
    await video.play();
    await over;
    const quality = video.getVideoPlaybackQuality();
    return [video.currentTime, quality.totalVideoFrames];
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are no news."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text("<!doctype html><title>clip</title><body>")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="clip")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def clip(tracks: tuple[Track, Track], path: Path) -> None:
    """Pictures FIRST to LAST: both edges encoded again, the middle copied."""
    store = MemoryObjectStore()
    made = session(ProgramKey("p", "e"), "i1", *tracks)
    made.upload(store)
    window = Window(*(EPOCH_NS + n * 10**9 // FPS for n in (FIRST, LAST + 1)))
    found = within(recording([made.manifest]), window)
    inits = {key: store.get(key) for key in init_keys(found)}
    (piece,) = pieces(found, inits)
    out = cut(store, piece, window, renditions=archived(found), inits=inits, path=path)
    assert (out.copied, out.encoded) == (50, 30)


def source(track: Track, path: Path) -> list[Any]:
    """Every picture as it was recorded, grey."""
    path.write_bytes(track.init + b"".join(f.data for f in track.fragments))
    with av.open(str(path)) as container:
        return [
            frame.reformat(format="gray").to_ndarray().astype(np.int16)
            for frame in container.decode(video=0)
        ]


async def test_an_exact_clip_plays_whole(
    plain_chromium: Browser, origin: str, tmp_path: Path
) -> None:
    tracks = encode(6.0, bframes=3, gop=FPS)
    clip(tracks, tmp_path / "clip.mp4")
    recorded = source(tracks[0], tmp_path / "source.mp4")
    page = await plain_chromium.new_page()
    try:
        await page.goto(origin)
        duration, *size = await page.evaluate(OPEN)
        assert abs(duration - 3.2) < 0.05
        assert size == [WIDTH, HEIGHT]
        # The ends, and both sides of where encoded and copied pictures meet.
        for number in (0, 14, 15, 64, 65, 79):
            at = (number + 0.5) / FPS
            grey = await page.evaluate(PICTURE, [at, WIDTH, HEIGHT])
            picture = np.array(grey, dtype=np.int16).reshape(HEIGHT, WIDTH)
            apart = [float(np.abs(picture - other).mean()) for other in recorded]
            assert int(np.argmin(apart)) == FIRST + number, (number, min(apart))
        ended, shown = await page.evaluate(PLAY)
        assert abs(ended - 3.2) < 0.05
        assert shown > 0
    finally:
        await page.close()
