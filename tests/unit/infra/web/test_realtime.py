"""What a WebRTC viewer of the page makes of its control channel and of what it receives."""

from typing import Any

from tests.support.node import evaluate

# A browser whose one peer connection is connected at once and counts what the script says.
BROWSER = """
const channels = [];
globalThis.window = globalThis;
globalThis.navigator ??= {};
globalThis.addEventListener = globalThis.removeEventListener = () => {};
globalThis.MediaStream = class { addTrack() {} };
globalThis.EventSource = class extends EventTarget {
  constructor(url) { super(); this.url = url; this.closed = false; channels.push(this); }
  close() { this.closed = true; }
  say(type, data) {
    this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }));
  }
};
const counted = { at: 0, frames: 1, video: 1000, audio: 100 };
globalThis.RTCPeerConnection = class extends EventTarget {
  connectionState = "connected";
  iceGatheringState = "complete";
  addTransceiver() {}
  getReceivers() { return []; }
  getTransceivers() { return []; }
  getConfiguration() { return {}; }
  setConfiguration() {}
  async createOffer() { return { type: "offer", sdp: "v=0" }; }
  async setLocalDescription() {}
  async setRemoteDescription() {}
  async getStats() {
    const { at, frames, video, audio } = counted;
    return new Map([
      ["v", { type: "inbound-rtp", kind: "video", timestamp: at, framesDecoded: frames,
              bytesReceived: video, estimatedPlayoutTimestamp: 3_900_000_000_000 }],
      ["a", { type: "inbound-rtp", kind: "audio", timestamp: at, bytesReceived: audio }],
    ]);
  }
  close() {}
};
const made = { status: 201, headers: { Location: "whep/s1" } };
globalThis.fetch = async () => new Response("v=0", made);
const video = { paused: false, srcObject: null, play: async () => {} };
const realtime = new module.Realtime(video);
let changes = 0;
realtime.addEventListener("change", () => (changes += 1));
await realtime.open("http://here/live/acme/ev_1/main/whep");
const [channel] = channels;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Nothing of the picture any more, and sound as long as it comes.
const hear = async (until, sound) => {
  for (let n = 0; n < 200 && !until(); n += 1) {
    counted.at += 50;
    counted.audio += sound;
    await pause(50);
  }
  return until();
};
"""


def run(body: str) -> Any:
    return evaluate(
        "realtime.js",
        f"{BROWSER}const found = await (async () => {{ {body} }})();realtime.stop(); return found;",
    )


def test_a_change_of_the_rendition_is_told_with_its_reason() -> None:
    found = run("""
      const before = [realtime.rendition, changes];
      channel.say("rendition", { rendition: "720p", reason: "20% of the packets are lost" });
      return [before[0], changes - before[1], realtime.rendition];
    """)
    told = {"rendition": "720p", "reason": "20% of the packets are lost"}
    assert found == [None, 1, told]


def test_sound_alone_goes_on_while_it_comes_and_has_no_picture_to_measure() -> None:
    found = run("""
      const measured = await hear(() => realtime.shownAt() !== null, 10);
      channel.say("rendition", { rendition: "audio", reason: "30% of the packets are lost" });
      const still = await hear(() => !realtime.moving, 0);
      const again = await hear(() => realtime.moving, 10);
      return [measured, realtime.shownAt(), still, again];
    """)
    assert found == [True, None, True, True]


def test_a_picture_that_stands_still_is_not_taken_for_sound_alone() -> None:
    assert run("return [await hear(() => !realtime.moving, 10)];") == [True]


def test_after_the_last_word_the_channel_is_not_opened_again() -> None:
    found = run("""
      const left = [];
      for (const type of ["marker", "rendition"]) channel.say(type, {});
      left.push(channel.closed);
      channel.say("ended", { reason: "event-over" });
      return [...left, channel.closed, realtime.finished];
    """)
    assert found == [False, True, True]
