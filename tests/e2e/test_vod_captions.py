"""Captions of a recording in hls.js: at the right pictures, across a restart."""

import posixpath
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser

from coldpath.media import vod
from coldpath.media.hearing import in_ms
from coldpath.media.recording import recording
from infra import captions_group
from infra.captions_group import WITH_CAPTIONS
from infra.keys import ProgramKey, VodKey
from infra.web import build
from infra.webvtt import Cue, webvtt
from tests.support.session import encode, session

pytestmark = pytest.mark.e2e

KEY = ProgramKey("p", "e")
FOLDER = posixpath.dirname(str(VodKey(KEY, "c", WITH_CAPTIONS)))
SHOWN = """async (url) => {
    const {default: Hls} = await import("/hls.mjs");
    const video = Object.assign(document.createElement("video"), {muted: true});
    document.body.append(video);
    const player = new Hls({maxBufferLength: 30});
    const failed = new Promise((_, reject) => player.on(
        Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(data.details))));
    const parsed = new Promise((resolve) => {
        let files = 0;
        player.on(Hls.Events.SUBTITLE_FRAG_PROCESSED, () => { if (++files == 2) resolve(); });
    });
    player.loadSource(url);
    player.attachMedia(video);
    await Promise.race([video.play(), failed]);
    player.subtitleTrack = 0;
    await Promise.race([parsed, failed]);
    const [track] = video.textTracks;
    track.mode = "showing";
    return [track.language, [...track.cues].map((c) => [c.startTime, c.endTime, c.text])];
}"""


class Quiet(SimpleHTTPRequestHandler):
    """A public bucket."""

    def log_message(self, *_: object) -> None:
        """Requests are no news."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text("<!doctype html><title>captions</title><body>")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="captions")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def files() -> dict[str, bytes]:
    """A programme that was restarted after half a minute; each time somebody speaks at 1 s."""
    tracks = encode(4.0, bframes=0)
    first = session(KEY, "i1", *tracks, start_s=100.0, final=False)
    rest = session(KEY, "i2", *tracks, start_s=130.0, first_msn=64, discontinuity_seq=1)
    whole = recording([first.manifest, rest.manifest])
    texts = {**vod.playlists(whole, "c"), WITH_CAPTIONS: vod.with_captions(whole, "en")}
    names = []
    for number, run in enumerate(whole.runs):
        cues = [Cue(1_000, 2_000, (f"Run {number}",))]
        names.append(f"captions-{number}.vtt")
        texts[names[-1]] = webvtt(cues, media_ms=in_ms(vod.run_start(whole, run)))
    texts[captions_group.PLAYLIST] = vod.captions_playlist(whole, names)
    made = {f"{FOLDER}/{name}": text.encode() for name, text in texts.items()}
    return {**first.objects, **rest.objects, **made}


@pytest.mark.asyncio(loop_scope="session")
async def test_captions_are_shown_when_they_are_said(
    browser: Browser, origin: str, tmp_path: Path
) -> None:
    for key, data in files().items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    shutil.copy(build.VENDOR / "hls.min.mjs", tmp_path / "hls.mjs")
    page = await browser.new_page()
    await page.goto(origin)
    language, cues = await page.evaluate(SHOWN, f"/{FOLDER}/{WITH_CAPTIONS}")
    assert language == "en"
    assert [text for _, _, text in cues] == ["Run 0", "Run 1"]
    assert [round(start, 1) for start, _, _ in cues] == [1.0, 5.0]
    assert [round(end, 1) for _, end, _ in cues] == [2.0, 6.0]
    await page.close()
