"""What plays HLS in a browser, what it repairs, and how often it is tried again."""

from typing import Any

import pytest

from tests.support.node import evaluate

# A library and a <video> that write down what is done with them.
BROWSER = """
const done = [], waits = [];
globalThis.window = globalThis;
globalThis.setTimeout = (_, ms) => waits.push(ms);
globalThis.clearTimeout = () => done.push("stopped waiting");
globalThis.Hls = class {
  static Events = { ERROR: "hlsError" };
  static ErrorTypes = { MEDIA_ERROR: "mediaError" };
  static isSupported = () => supported;
  constructor(options) { done.push(options); this.heard = {}; }
  on(name, listener) { this.heard[name] = listener; }
  attachMedia() { done.push("attached"); }
  loadSource(url) { done.push(url); }
  recoverMediaError() { done.push("repaired"); }
  destroy() { done.push("destroyed"); }
};
const video = { canPlayType: () => (native ? "maybe" : ""), getAttribute: () => null };
const code = library ? "export default globalThis.Hls" : "!";
const urls = { hls: `data:text/javascript,${code}`, worker: "worker.js" };
const source = new module.HlsVideo(video, urls);
"""


def run(body: str, *, supported: bool = True, native: bool = False, library: bool = True) -> Any:
    known = f"const supported = {int(supported)}, native = {int(native)}, library = {int(library)};"
    return evaluate("hls-video.js", known + BROWSER + body)


@pytest.mark.parametrize(
    ("browser", "way"),
    [
        ({}, "hls.js"),
        ({"native": True}, "hls.js"),
        ({"supported": False, "native": True}, "native"),
        ({"supported": False}, "nothing"),
        ({"library": False}, "missing"),
    ],
)
def test_the_way_is_the_best_that_the_browser_has(browser: dict[str, bool], way: str) -> None:
    assert run("return source.way();", **browser) == way


def test_safari_plays_with_its_own_player() -> None:
    asked = "globalThis.ManagedMediaSource = class {}; return source.way();"
    assert run(asked, native=True, library=False) == "native"
    assert run(asked) == "hls.js"


def test_another_start_ends_the_one_before() -> None:
    done = run("""
      await source.way();
      source.start("a.m3u8", { lowLatencyMode: true }, {});
      source.start("b.m3u8", {}, {});
      source.close();
      return [done, source.hls];
    """)
    assert done == [
        [
            *({"workerPath": "worker.js", "lowLatencyMode": True}, "attached", "a.m3u8"),
            *("destroyed", {"workerPath": "worker.js"}, "attached", "b.m3u8", "destroyed"),
        ],
        None,
    ]


def test_listeners_get_the_data_of_their_event() -> None:
    heard = run("""
      const heard = [];
      await source.way();
      const hls = source.start("a.m3u8", {}, { ERROR: (data) => heard.push(data) });
      hls.heard.hlsError("hlsError", { fatal: true });
      return heard;
    """)
    assert heard == [{"fatal": True}]


def test_a_media_error_is_repaired_once_in_five_seconds() -> None:
    repaired = run("""
      let now = 1000;
      performance.now = () => now;
      await source.way();
      source.start("a.m3u8", {}, {});
      const found = [];
      for (const at of [0, 4999, 5001]) {
        now = 1000 + at;
        found.push(["mediaError", "networkError"].map((type) => source.repaired({ type })));
      }
      return found;
    """)
    assert repaired == [[True, False], [False, False], [True, False]]


def test_it_is_tried_again_ever_more_rarely() -> None:
    waits, retries = run("""
      for (let n = 0; n < 7; n += 1) source.again(() => {});
      return [waits, source.retries];
    """)
    assert retries == 7
    for wait, least in zip(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000], strict=True):
        assert 0.8 * least <= wait <= 1.2 * least
