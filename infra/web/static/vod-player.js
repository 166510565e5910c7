// Plays one recording in a <video>: hls.js where it can, the browser's own HLS on Safari, an MP4 as
// it is. It recovers by itself; what it cannot repair it reports as `trouble`.

import { HlsVideo } from "./hls-video.js";

/** Events: "change". */
export class VodPlayer extends EventTarget {
  /** null, "denied", "broken" or "unsupported". */
  trouble = null;
  /** The viewer has chosen a place. */
  moved = false;
  #video;
  #source;
  #url = null;
  /** What was asked for last: `#url`, until it was closed because it was denied. */
  #wanted = null;

  /** `urls` is {hls, worker}: where the library lies. */
  constructor(video, urls) {
    super();
    this.#video = video;
    this.#source = new HlsVideo(video, urls);
    video.addEventListener("playing", () => this.#report(null));
    video.addEventListener("error", () => {
      if (!this.hls && video.getAttribute("src")) this.#report("broken");
    });
    video.addEventListener("timeupdate", () => {
      this.#source.retries = 0;
    });
    video.textTracks.addEventListener?.("addtrack", () => this.#changed());
  }

  /** The hls.js instance while one plays; null under native HLS. */
  get hls() {
    return this.#source.hls;
  }

  get url() {
    return this.#url;
  }

  /** Opens `url`; the same one again changes nothing. */
  async load(url) {
    if (url === this.#url) return;
    this.#close();
    this.#url = this.#wanted = url;
    await this.#open();
  }

  /** Try again at once, for a button. */
  async again() {
    this.#report(null);
    this.#url = this.#wanted;
    await this.#open();
  }

  async play() {
    try {
      await this.#video.play();
    } catch {
      // Superseded by a newer load, or not allowed without a touch: the button stays.
    }
  }

  seek(seconds) {
    this.moved = true;
    const { duration } = this.#video;
    const end = Number.isFinite(duration) ? duration : Infinity;
    this.#video.currentTime = Math.min(Math.max(0, seconds), end);
  }

  /** Heights or bit rates to choose from: [{label, value}], best first; empty where there is no choice. */
  get qualities() {
    const levels = this.hls?.levels ?? [];
    if (levels.length < 2) return [];
    return levels
      .map(({ height, bitrate }, value) => ({ value, bitrate, label: height ? `${height}p` : "Sound only" }))
      .sort((a, b) => b.bitrate - a.bitrate);
  }

  /** Index of the level that was chosen; -1: the player chooses. */
  get quality() {
    return this.hls?.manualLevel ?? -1;
  }

  set quality(level) {
    if (this.hls) this.hls.nextLevel = level;
  }

  /** Captions to choose from: [{label, language}]. */
  get captions() {
    if (this.hls) return this.hls.subtitleTracks.map(({ name, lang }) => ({ label: name, language: lang ?? "" }));
    return this.#ownTracks.map(({ label, language }) => ({ label, language }));
  }

  /** Index of the captions that are shown; -1: none. */
  get caption() {
    if (this.hls) return this.hls.subtitleDisplay ? this.hls.subtitleTrack : -1;
    return this.#ownTracks.findIndex(({ mode }) => mode === "showing");
  }

  set caption(index) {
    if (this.hls) {
      this.hls.subtitleDisplay = index >= 0;
      this.hls.subtitleTrack = index;
      return;
    }
    this.#ownTracks.forEach((track, n) => {
      track.mode = n === index ? "showing" : "disabled";
    });
  }

  get #ownTracks() {
    return [...this.#video.textTracks].filter(({ kind }) => kind === "subtitles" || kind === "captions");
  }

  async #open() {
    this.#source.stopWaiting();
    const url = this.#url;
    const isHls = new URL(url, location.href).pathname.endsWith(".m3u8");
    const way = isHls ? await this.#source.way() : "native";
    if (url !== this.#url) return undefined; // superseded
    if (way === "missing") return this.#retry();
    if (way === "nothing") return this.#report("unsupported");
    if (way === "hls.js") return this.#openHls();
    this.#video.src = url;
    return undefined;
  }

  #openHls() {
    const place = this.#video.currentTime;
    // More pixels than the stage has are a waste, in full screen they are not.
    const options = { capLevelToPlayerSize: true, ...(place > 0 && { startPosition: place }) };
    const changed = () => this.#changed();
    const hls = this.#source.start(this.#url, options, {
      ERROR: (data) => this.#hlsError(data),
      MANIFEST_PARSED: changed,
      LEVEL_SWITCHED: changed,
      SUBTITLE_TRACKS_UPDATED: changed,
      SUBTITLE_TRACK_SWITCH: changed,
    });
    hls.subtitleDisplay = false;
  }

  #hlsError(data) {
    const status = data.response?.code;
    if (status === 401 || status === 403) {
      this.#close();
      return this.#report("denied");
    }
    if (data.fatal && !this.#source.repaired(data)) this.#retry();
    return undefined;
  }

  #retry() {
    this.#source.again(() => this.#open());
    if (this.#source.retries > 2) this.#report("broken");
  }

  #close() {
    this.#source.stopWaiting();
    this.#source.close();
    this.#url = null;
  }

  #report(code) {
    if (this.trouble === code) return;
    this.trouble = code;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
