// Plays one recording in a <video>: hls.js where it can, the browser's own HLS on Safari, an MP4 as
// it is. It recovers by itself; what it cannot repair it reports as `trouble`.

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** Events: "change". */
export class VodPlayer extends EventTarget {
  /** null, "denied", "broken" or "unsupported". */
  trouble = null;
  /** The hls.js instance while one plays; null under native HLS. */
  hls = null;
  /** The viewer has chosen a place. */
  moved = false;
  #Hls = null;
  #video;
  #urls;
  #url = null;
  #retries = 0;
  #timer = 0;
  #mediaErrorAt = -Infinity;

  /** `urls` is {hls, worker}: where the library lies. */
  constructor(video, urls) {
    super();
    this.#video = video;
    this.#urls = urls;
    video.addEventListener("playing", () => this.#report(null));
    video.addEventListener("error", () => {
      if (!this.hls && video.getAttribute("src")) this.#report("broken");
    });
    video.addEventListener("timeupdate", () => {
      this.#retries = 0;
    });
    video.textTracks.addEventListener?.("addtrack", () => this.#changed());
  }

  get url() {
    return this.#url;
  }

  /** Opens `url`; the same one again changes nothing. */
  async load(url) {
    if (url === this.#url) return;
    this.#close();
    this.#url = url;
    await this.#open();
  }

  /** Try again at once, for a button. */
  async again() {
    this.#report(null);
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
    clearTimeout(this.#timer);
    if (!new URL(this.#url, location.href).pathname.endsWith(".m3u8") || this.#prefersNative()) return this.#openNative();
    try {
      this.#Hls ??= (await import(this.#urls.hls)).default;
    } catch {
      return this.#retry();
    }
    if (!this.#Hls.isSupported()) return this.#canNative() ? this.#openNative() : this.#report("unsupported");
    return this.#openHls();
  }

  #canNative() {
    return this.#video.canPlayType("application/vnd.apple.mpegurl") !== "";
  }

  // Safari's own player saves battery and knows AirPlay; only Safari has ManagedMediaSource.
  #prefersNative() {
    return "ManagedMediaSource" in window && this.#canNative();
  }

  #openNative() {
    this.#video.src = this.#url;
  }

  #openHls() {
    const place = this.#video.currentTime;
    this.hls?.destroy();
    const Hls = this.#Hls;
    const hls = new Hls({
      workerPath: this.#urls.worker,
      // More pixels than the stage has are a waste, in full screen they are not.
      capLevelToPlayerSize: true,
      ...(place > 0 && { startPosition: place }),
    });
    this.hls = hls;
    hls.subtitleDisplay = false;
    hls.on(Hls.Events.ERROR, (_, data) => this.#hlsError(data));
    for (const name of ["MANIFEST_PARSED", "LEVEL_SWITCHED", "SUBTITLE_TRACKS_UPDATED", "SUBTITLE_TRACK_SWITCH"]) {
      hls.on(Hls.Events[name], () => this.#changed());
    }
    hls.attachMedia(this.#video);
    hls.loadSource(this.#url);
  }

  #hlsError(data) {
    const status = data.response?.code;
    if (status === 401 || status === 403) {
      this.#close();
      return this.#report("denied");
    }
    if (!data.fatal) return undefined;
    const now = performance.now();
    if (data.type === this.#Hls.ErrorTypes.MEDIA_ERROR && now - this.#mediaErrorAt > 5000) {
      this.#mediaErrorAt = now;
      return this.hls.recoverMediaError();
    }
    return this.#retry();
  }

  #retry() {
    const wait = RETRY_MS[Math.min(this.#retries, RETRY_MS.length - 1)];
    this.#retries += 1;
    if (this.#retries > 2) this.#report("broken");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), wait * (0.8 + 0.4 * Math.random()));
  }

  #close() {
    clearTimeout(this.#timer);
    this.hls?.destroy();
    this.hls = null;
    this.#url = null;
    if (this.#video.getAttribute("src")) {
      this.#video.removeAttribute("src");
      this.#video.load();
    }
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
