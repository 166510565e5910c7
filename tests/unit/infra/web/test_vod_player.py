"""What a recording's player opens, and opens again."""

from typing import Any

from tests.support.node import evaluate

# A library and a <video> that write down what is opened.
BROWSER = """
const opened = [];
globalThis.window = globalThis;
globalThis.location = { href: "http://here/vod/ev_one" };
globalThis.Hls = class {
  static Events = { ERROR: "hlsError", MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "level",
    SUBTITLE_TRACKS_UPDATED: "tracks", SUBTITLE_TRACK_SWITCH: "track" };
  static ErrorTypes = { MEDIA_ERROR: "mediaError" };
  static isSupported = () => true;
  constructor() { this.heard = {}; }
  on(name, listener) { this.heard[name] = listener; }
  attachMedia() {}
  loadSource(url) { opened.push(url); }
  destroy() {}
};
const video = Object.assign(new EventTarget(), {
  canPlayType: () => "", getAttribute: () => null, textTracks: [], currentTime: 0,
});
const urls = { hls: "data:text/javascript,export default globalThis.Hls", worker: "worker.js" };
const player = new module.VodPlayer(video, urls);
const refused = (code) => player.hls.heard.hlsError("hlsError", { response: { code } });
"""


def run(body: str) -> Any:
    return evaluate("vod-player.js", BROWSER + body)


def test_the_same_address_again_changes_nothing() -> None:
    body = 'await player.load("a.m3u8"); await player.load("a.m3u8"); return opened;'
    assert run(body) == ["a.m3u8"]


def test_what_was_denied_is_opened_again_by_the_button() -> None:
    found = run("""
      await player.load("a.m3u8");
      refused(403);
      const trouble = [player.trouble, player.url];
      await player.again();
      return [trouble, opened, player.trouble, player.url];
    """)
    assert found == [["denied", None], ["a.m3u8", "a.m3u8"], None, "a.m3u8"]


def test_what_was_denied_is_opened_again_once_it_is_asked_for() -> None:
    body = 'await player.load("a.m3u8"); refused(401); await player.load("a.m3u8"); return opened;'
    assert run(body) == ["a.m3u8", "a.m3u8"]
