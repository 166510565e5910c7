"""Exact clips: of an event that is live, and in a browser, from the first picture to the last."""

import io
import logging
import posixpath
import shutil
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import pytest
from playwright.async_api import Browser

from coldpath.media import instant, vod
from coldpath.media.cut import cut
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import recording
from coldpath.media.window import Window, within
from infra.demo import barcode
from infra.demo.decoding import luma
from infra.keys import ProgramKey, VodKey
from infra.storage.memory import MemoryObjectStore
from infra.web import build
from tests.e2e.conftest import Studio, until
from tests.support import m3u8
from tests.support.session import EPOCH_NS, Track, encode, session

log = logging.getLogger(__name__)

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


@pytest.mark.asyncio(loop_scope="session")
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


BEGIN = """async () => {
    const {default: Hls} = await import("/hls.mjs");
    const video = Object.assign(document.createElement("video"), {muted: true});
    document.body.append(video);
    const player = new Hls();
    const begun = new Promise((resolve, reject) => {
        video.onplaying = () => resolve([video.currentTime, video.duration]);
        player.on(Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(data.details)));
    });
    player.loadSource("/index.m3u8");
    player.attachMedia(video);
    await video.play();
    return await begun;
}"""


@pytest.mark.asyncio(loop_scope="session")
async def test_an_instant_clip_begins_where_it_should(
    browser: Browser, origin: str, tmp_path: Path
) -> None:
    made = session(ProgramKey("p", "e"), "i1", *encode(6.0, bframes=0, gop=FPS))
    window = Window(EPOCH_NS + 2_500_000_000, EPOCH_NS + 3_500_000_000)
    part = within(recording([made.manifest]), window)
    folder = posixpath.dirname(str(VodKey(ProgramKey("p", "e"), "c", vod.MULTIVARIANT)))
    files = dict(made.objects)
    for name, text in instant.playlists(part, "c", window).items():
        files[f"{folder}/{name}"] = text.encode()
    for key, data in files.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    shutil.copy(build.VENDOR / "hls.min.mjs", tmp_path / "hls.mjs")
    page = await browser.new_page()
    await page.goto(origin)
    begun, duration = await page.evaluate(BEGIN.replace("/index", f"/{folder}/index"))
    assert 0.4 <= begun < 1.5
    assert 1.9 < duration < 2.4


def stamps(media: bytes) -> list[tuple[float, int]]:
    """(seconds from the first picture, number of the frame) of every picture."""
    with av.open(io.BytesIO(media)) as container:
        frames = list(container.decode(video=0))
    found = [(frame.time or 0.0, barcode.read(luma(frame))) for frame in frames]
    return [(at - found[0][0], stamp.index) for at, stamp in found if stamp is not None]


def on_the_playlist(url: str) -> tuple[datetime, list[tuple[float, int]]]:
    """A segment that is listed: when it was, and its pictures."""
    base = url.rpartition("/")[0]
    with httpx2.Client(trust_env=False) as client:

        def segments() -> list[m3u8.SegmentTag]:
            return m3u8.parse(client.get(f"{base}/video.m3u8").text).segments

        until("there are segments", lambda: len(segments()) > 2)
        listed = segments()[-2]
        assert listed.date is not None
        parts = [client.get(f"{base}/{uri}").content for uri in (listed.map, listed.uri)]
    return listed.date, stamps(b"".join(parts))


def test_a_clip_of_a_live_event_holds_the_pictures_of_its_times(
    studio: Studio, on_air: dict[str, Any]
) -> None:
    date, pictures = on_the_playlist(on_air["playback"]["hls_url"])
    start, end = date + timedelta(seconds=0.5), date + timedelta(seconds=2.5)
    path = f"/v1/events/{on_air['id']}/clips"
    until("the end was published", lambda: datetime.now(end.tzinfo) > end)
    clip = studio.call("POST", path, start=start.isoformat(), end=end.isoformat(), mode="exact")
    until(
        "the clip is there",
        lambda: studio.call("GET", f"{path}/{clip['id']}")["state"] in ("succeeded", "dead"),
    )
    done = studio.call("GET", f"{path}/{clip['id']}")
    assert done["asset"] is not None, done["error"]
    film = stamps(httpx2.get(done["asset"]["url"], trust_env=False).content)
    numbers = [number for _, number in film]
    assert numbers == list(range(numbers[0], numbers[0] + 60))
    expected = next(number for at, number in pictures if at >= 0.5 - 0.001)
    log.info("the clip begins %d pictures late", numbers[0] - expected)
    assert numbers[0] == expected
