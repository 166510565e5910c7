"""Chromium takes our answers to its own offers, and understands them as they are meant."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from hotpath.webrtc import sdp
from hotpath.webrtc.candidate import host_candidates

pytestmark = pytest.mark.integration

OFFER = """async (role) => {
  const pc = window.pc = new RTCPeerConnection();
  if (role === 'whep') {
    pc.addTransceiver('audio', {direction: 'recvonly'});
    pc.addTransceiver('video', {direction: 'recvonly'});
  } else {
    const stream = document.createElement('canvas').captureStream(30);
    const sound = new AudioContext().createMediaStreamDestination().stream;
    const layers = role === 'simulcast' ? [{rid: 'h'}, {rid: 'l', scaleResolutionDownBy: 2}] : [{}];
    const [audio] = sound.getAudioTracks(), [video] = stream.getVideoTracks();
    if (role === 'data-first') pc.createDataChannel('x');
    pc.addTransceiver(audio, {direction: 'sendonly'});
    pc.addTransceiver(video, {direction: 'sendonly', sendEncodings: layers});
  }
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}"""
ANSWER = """async (sdp) => {
  await pc.setRemoteDescription({type: 'answer', sdp});
  const codec = (t) => (t.currentDirection === 'recvonly' ? t.receiver : t.sender)
    .getParameters().codecs.map((c) => c.mimeType);
  const got = pc.getTransceivers().map((t) => [t.currentDirection, codec(t)]);
  const layers = pc.getTransceivers()[1].sender.getParameters().encodings.length;
  const lite = pc.remoteDescription.sdp.includes('a=ice-lite');
  pc.close();
  return {got, layers, lite};
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        await page.goto("about:blank")
        yield page
        await browser.close()


def viewers_answer(offer: sdp.Offer) -> str:
    return sdp.viewer_answer(
        offer,
        sdp.choose_viewer(offer, profile_level_id="640028"),
        ufrag="abcd",
        pwd="p" * 24,
        fingerprint="sha-256 " + ":".join(["0A"] * 32),
        candidates=host_candidates(["127.0.0.1"], 9, tcp=True),
        setup="passive",
        ssrcs=sdp.SendSsrcs(1, 2, 3),
        cname="cn",
        stream_id="live",
    )


def publishers_answer(offer: sdp.Offer) -> str:
    return sdp.publisher_answer(
        offer,
        sdp.choose_publisher(offer),
        ufrag="abcd",
        pwd="p" * 24,
        fingerprint="sha-256 " + ":".join(["0A"] * 32),
        candidates=host_candidates(["127.0.0.1"], 9, tcp=True),
        setup="passive",
    )


def ids(answer: str) -> list[str]:
    return [line for line in answer.split("\r\n") if line.startswith("a=ssrc-group")]


async def test_chromium_takes_what_a_viewer_is_answered(page: Page) -> None:
    offer = sdp.parse_offer(await page.evaluate(OFFER, "whep"))
    answer = viewers_answer(offer)
    assert ids(answer) == ["a=ssrc-group:FID 1 2"]
    taken = await page.evaluate(ANSWER, answer)
    assert taken["lite"]
    assert [way for way, _ in taken["got"]] == ["recvonly", "recvonly"]


@pytest.mark.parametrize("role", ["whip", "simulcast", "data-first"])
async def test_chromium_takes_what_a_publisher_is_answered(page: Page, role: str) -> None:
    offer = sdp.parse_offer(await page.evaluate(OFFER, role))
    taken = await page.evaluate(ANSWER, publishers_answer(offer))
    assert taken["lite"]
    assert taken["layers"] == 1
    assert [way for way, _ in taken["got"]] == ["sendonly", "sendonly"]
    audio, video = (set(codecs) for _, codecs in taken["got"])
    assert audio == {"audio/opus"}
    assert video == {"video/H264", "video/rtx"}
