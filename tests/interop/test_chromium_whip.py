"""A real Chromium publishes its (fake) camera and microphone over WHIP."""

import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from hotpath.media.unit import AUDIO, VIDEO, Codec
from tests.support.ingest import entry, until
from tests.support.media import ffmpeg
from tests.support.network import Conditions, UdpRelay
from tests.support.whip import Node, decoded, whip_node

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    # The browser lives longer than a test, on a loop that does.
    pytest.mark.asyncio(loop_scope="session"),
]

A = entry("ev_a")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PUBLISH = """
async ({url, token, port}) => {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: true, video: {width: 640, height: 480, frameRate: 30}});
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: "max-bundle"});
  for (const track of stream.getTracks()) {
    const sender = pc.addTransceiver(track, {direction: "sendonly", streams: [stream]});
    if (track.kind === "video") {
      const codecs = RTCRtpSender.getCapabilities("video").codecs;
      sender.setCodecPreferences(codecs.filter(c => /H264|rtx/.test(c.mimeType)));
    }
  }
  await pc.setLocalDescription();
  const answer = await fetch(url, {method: "POST", body: pc.localDescription.sdp,
    headers: {"content-type": "application/sdp", authorization: `Bearer ${token}`}});
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  window.session = new URL(answer.headers.get("location"), url).href;
  window.etag = answer.headers.get("etag");
  let sdp = await answer.text();
  if (port) sdp = sdp.replace(/(a=candidate:\\S+ 1 udp \\d+ \\S+) \\d+/g, `$1 ${port}`);
  await pc.setRemoteDescription({type: "answer", sdp});
}
"""
RESTART = """
async () => {
  const pc = window.pc;
  pc.restartIce();
  await pc.setLocalDescription();
  const offer = pc.localDescription.sdp;
  const line = name => offer.split("\\r\\n").find(l => l.startsWith(name));
  const mline = line("m=");
  const fragment = [line("a=ice-ufrag"), line("a=ice-pwd"), mline, line("a=mid:")]
    .join("\\r\\n") + "\\r\\n";
  const answer = await fetch(window.session, {method: "PATCH", body: fragment,
    headers: {"content-type": "application/trickle-ice-sdpfrag", "if-match": "*"}});
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
  const text = await answer.text();
  const own = name => text.split("\\r\\n").find(l => l.startsWith(name));
  const sdp = pc.remoteDescription.sdp
    .replace(/a=ice-ufrag:.*/g, own("a=ice-ufrag"))
    .replace(/a=ice-pwd:.*/g, own("a=ice-pwd"));
  await pc.setRemoteDescription({type: "answer", sdp});
  return answer.headers.get("etag");
}
"""
SELECTED = """
async () => {
  const stats = [...(await window.pc.getStats()).values()];
  const transport = stats.find(s => s.type === "transport");
  const video = stats.find(s => s.type === "outbound-rtp" && s.kind === "video");
  return {
    pair: transport.selectedCandidatePairId, state: transport.dtlsState,
    cipher: transport.srtpCipher, encoder: video.encoderImplementation,
    limited: video.qualityLimitationReason, plis: video.pliCount, nacks: video.nackCount,
    width: video.frameWidth, fps: video.framesPerSecond,
    remote: (stats.find(s => s.type === "remote-inbound-rtp" && s.kind === "video") || {})
      .roundTripTime,
  };
}
"""


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera sees: a picture that takes some bits, as a real one does."""
    path = tmp_path_factory.mktemp("camera") / "noise.mjpeg"
    source = "testsrc2=size=640x480:rate=30:duration=4,noise=alls=30:allf=t"
    command = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", source, "-q:v", "3", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(camera: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        own = Path(playwright.chromium.executable_path)
        assert path or own.exists(), "no Chromium: run scripts/bootstrap --test"
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        running = await playwright.chromium.launch(executable_path=path, args=flags)
        yield running
        await running.close()


@asynccontextmanager
async def opened(browser: Browser, node: Node) -> AsyncIterator[Page]:
    page = await browser.new_page()
    # The loopback counts as a secure origin, so the page may have the camera.
    await page.goto(node.base)
    try:
        yield page
    finally:
        await page.close()


async def publish(page: Page, node: Node, port: int = 0) -> None:
    """`port`: of a relay that media goes through."""
    url = node.url("ev_a")
    await page.evaluate(PUBLISH, {"url": url, "token": A.whip_token, "port": port})


async def test_a_camera_is_published_decodes_and_reaches_a_good_bitrate(browser: Browser) -> None:
    async with whip_node(A) as node, opened(browser, node) as page:
        await publish(page, node)
        await until(lambda: len(node.sink.track(1, VIDEO)) > 30)
        await until(
            lambda: (s := node.ingest.statistics()) and s[0].rtp.rate_mbps > 1.0, timeout_s=40
        )
        await until(lambda: sum(u.keyframe for u in node.sink.track(1, VIDEO)) >= 4, timeout_s=40)
        seen: dict[str, Any] = await page.evaluate(SELECTED)
        await page.evaluate("fetch(window.session, {method: 'DELETE'})")
        await until(lambda: node.sink.ended)
    video, audio = node.sink.track(1, VIDEO), node.sink.track(1, AUDIO)
    formats = {f.track: f for f in node.sink.formats[1][-1]}
    assert node.sink.ended == {1: "unpublished"}
    assert formats[VIDEO].codec is Codec.H264
    assert formats[AUDIO].codec is Codec.OPUS
    assert seen["state"] == "connected"
    assert seen["cipher"] == "AEAD_AES_128_GCM"
    assert decoded(video, formats[VIDEO].config) >= len(video) - 1
    keys = [u.pts for u in video if u.keyframe]
    assert all(b - a <= 3 * 90_000 for a, b in itertools.pairwise(keys))
    assert {b.pts - a.pts for a, b in itertools.pairwise(audio)} == {1800}


async def test_ice_restarts_without_an_interruption(browser: Browser) -> None:
    async with whip_node(A) as node, opened(browser, node) as page:
        await publish(page, node)
        await until(lambda: len(node.sink.track(1, VIDEO)) > 30)
        before = await page.evaluate(SELECTED)
        etag = await page.evaluate("window.etag")
        assert await page.evaluate(RESTART) != etag

        async def moved() -> bool:
            now = await page.evaluate(SELECTED)
            return bool(now["pair"] != before["pair"])

        for _ in range(100):
            if await moved():
                break
            await page.wait_for_timeout(100)
        assert await moved()
        count = len(node.sink.track(1, VIDEO))
        await until(lambda: len(node.sink.track(1, VIDEO)) > count + 60)
        assert node.sink.order == ["connected 1"]
        assert not any(u.damaged for u in node.sink.track(1, VIDEO))


async def test_a_narrow_uplink_is_filled_without_a_standing_queue(browser: Browser) -> None:
    narrow = Conditions(delay_ms=20, rate_kbps=1000, queue_bytes=128 * 1024)
    async with whip_node(A) as node, opened(browser, node) as page:
        server = ("127.0.0.1", node.mux.port)
        with UdpRelay(server, Conditions(delay_ms=20), up=narrow, seed=1) as relay:
            await publish(page, node, relay.port)
            # A full queue of 128 KB is a second; what is told to the browser must drain it.
            calm = 0
            for _ in range(60):
                await page.wait_for_timeout(500)
                trip = (await page.evaluate(SELECTED))["remote"]
                calm = calm + 1 if trip is not None and trip < 0.2 else 0
                if calm == 10:
                    break
            (statistics,) = node.ingest.statistics()
    assert calm == 10
    assert statistics.rtp.allowed_mbps < 2.0
    assert statistics.rtp.rate_mbps > 0.3
    assert statistics.video_units > 60
