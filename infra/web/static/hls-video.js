// HLS in a <video>: hls.js where it can, the browser's own player on Safari, and when to try again.
// What is played, and what a trouble means, is its owner's.

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const REPAIR_EVERY_MS = 5000;

export class HlsVideo {
  /** The hls.js instance while one plays; null under native HLS. */
  hls = null;
  /** How often in a row it was tried again. */
  retries = 0;
  #Hls = null;
  #video;
  #urls;
  #timer = 0;
  #repairedAt = -Infinity;

  /** `urls` is {hls, worker}: where the library lies. */
  constructor(video, urls) {
    this.#video = video;
    this.#urls = urls;
  }

  /** What plays HLS here: "hls.js", "native" or "nothing"; "missing" while the library does not load. */
  async way() {
    // Safari's own player is the LL-HLS reference, saves battery and knows AirPlay; only Safari has
    // ManagedMediaSource.
    if ("ManagedMediaSource" in window && this.#canNative) return "native";
    try {
      this.#Hls ??= (await import(this.#urls.hls)).default;
    } catch {
      return "missing";
    }
    if (this.#Hls.isSupported()) return "hls.js";
    return this.#canNative ? "native" : "nothing";
  }

  /** Plays `url` with hls.js, and nothing else any more; `listeners` by the names of its events. */
  start(url, options, listeners) {
    this.hls?.destroy();
    const hls = new this.#Hls({ workerPath: this.#urls.worker, ...options });
    this.hls = hls;
    for (const [name, listener] of Object.entries(listeners)) {
      hls.on(this.#Hls.Events[name], (_, data) => listener(data));
    }
    hls.attachMedia(this.#video);
    hls.loadSource(url);
    return hls;
  }

  /** Whether hls.js itself can go on after a fatal error; tried once in five seconds. */
  repaired({ type }) {
    const now = performance.now();
    if (type !== this.#Hls.ErrorTypes.MEDIA_ERROR || now - this.#repairedAt <= REPAIR_EVERY_MS) return false;
    this.#repairedAt = now;
    this.hls.recoverMediaError();
    return true;
  }

  /** Calls `open` after a while, ever more rarely; what waited before does no more. */
  again(open) {
    const wait = RETRY_MS[Math.min(this.retries, RETRY_MS.length - 1)];
    this.retries += 1;
    this.stopWaiting();
    this.#timer = setTimeout(open, wait * (0.8 + 0.4 * Math.random()));
  }

  stopWaiting() {
    clearTimeout(this.#timer);
  }

  close() {
    this.hls?.destroy();
    this.hls = null;
    if (this.#video.getAttribute("src")) {
      this.#video.removeAttribute("src");
      this.#video.load();
    }
  }

  get #canNative() {
    return this.#video.canPlayType("application/vnd.apple.mpegurl") !== "";
  }
}
