// Chooses how an event is played: WebRTC (WHEP) first, LL-HLS when that cannot connect, and back.
// To the rest of the page it is one player, whichever of the two plays.

import { Playback } from "./playback.js";
import { Realtime } from "./realtime.js";

// After WebRTC failed it is tried again behind the picture, ever more rarely.
const RETRY_S = [45, 120, 300, 600];
// The event may not be on this node yet.
const RETRY_ABSENT_S = 4;
// WebRTC has no playlist that asks for a distance; this is what it should be at worst.
const REALTIME_TARGET_S = 0.3;

export class Transport extends EventTarget {
  #video;
  #wanted;
  #hls;
  #realtime;
  #urls = null;
  #mode = null;
  #failures = 0;
  #timer = 0;
  #trying = false;
  /** What keeps WebRTC from playing where nothing else may play. */
  #refused = null;
  /** What is due to the viewer, as far as it is known. */
  #may = { whep: true, hls: true };

  /** `wanted` is "auto", "webrtc" or "hls"; `libraries` is {hls, worker}. */
  constructor(video, libraries, wanted) {
    super();
    this.#video = video;
    this.#wanted = wanted;
    this.#hls = new Playback(video, libraries);
    this.#realtime = new Realtime(video);
    const changed = () => this.dispatchEvent(new Event("change"));
    this.#hls.addEventListener("change", changed);
    this.#realtime.addEventListener("change", changed);
    for (const player of [this.#hls, this.#realtime]) {
      player.addEventListener("marker", ({ detail }) => {
        this.dispatchEvent(new CustomEvent("marker", { detail }));
      });
    }
    this.#realtime.addEventListener("failed", ({ detail }) => this.#failed(detail.error));
  }

  /** "webrtc", "hls" or null while nothing was opened. */
  get mode() {
    return this.#mode;
  }

  get hls() {
    return this.#hls.hls;
  }

  get trouble() {
    return this.#active?.trouble ?? this.#refused;
  }

  get finished() {
    return this.#active?.finished ?? false;
  }

  get target() {
    return this.#mode === "webrtc" ? REALTIME_TARGET_S : this.#hls.target;
  }

  get bufferSeconds() {
    return this.#mode === "webrtc" ? 0 : this.#hls.bufferSeconds;
  }

  /** LL-HLS plays, and WebRTC was not ruled out: a press may bring the lower delay. */
  get canTryRealtime() {
    return this.#mode === "hls" && this.#allowsRealtime() && !this.#trying && !this.finished;
  }

  /** A viewer who pauses or goes back is left there. */
  set mayStay(may) {
    this.#hls.mayStay = may;
  }

  /** WebRTC has no past, so where it alone may play there is no way back. */
  get canGoBack() {
    return this.#mode !== null && this.#way !== "webrtc";
  }

  get behind() {
    return this.#mode === "hls" ? this.#hls.behind : 0;
  }

  get reach() {
    return this.#mode === "hls" ? this.#hls.reach : 0;
  }

  get moving() {
    if (this.#mode === "webrtc") return this.#realtime.moving;
    return !this.#video.paused && this.#video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** What the server has moved a WebRTC viewer to, and why: {rendition, reason}; null: nothing. */
  get rendition() {
    return this.#mode === "webrtc" ? this.#realtime.rendition : null;
  }

  /** Start playing `urls` ({whep, hls}); the same again changes nothing. */
  async load(urls) {
    if (this.#urls?.hls === urls.hls && this.#urls?.whep === urls.whep) return;
    if (this.#mode === "webrtc" && urls.whep) {
      // Another token or node: the picture stays until the new session has one.
      const mayStay = new URL(urls.whep).pathname === new URL(this.#urls.whep).pathname;
      this.#urls = urls;
      if (this.#realtime.url !== urls.whep) await this.#realtime.move(urls.whep, mayStay);
      return;
    }
    this.stop();
    this.#urls = urls;
    if (this.#allowsRealtime()) await this.#tryRealtime();
    else this.#openHls();
  }

  /** What is due to the viewer from now on ({transports, max_rendition}): playback follows at once. */
  allow({ transports, max_rendition: cap }) {
    const before = this.#may;
    this.#may = { whep: transports.includes("whep"), hls: transports.includes("hls"), cap };
    if (!this.#urls) return;
    const upgraded = this.#may.whep && !before.whep && !this.#hls.stays;
    if (this.#mode === "hls" && (upgraded || !this.#may.hls)) this.tryRealtime();
    else if (this.#mode === "hls" && before.cap !== undefined && cap !== before.cap) this.#hls.again();
    else if (this.#mode === "webrtc" && !this.#may.whep) {
      clearTimeout(this.#timer);
      this.#openHls();
    }
  }

  stop() {
    clearTimeout(this.#timer);
    this.#urls = this.#mode = this.#refused = null;
    this.#failures = 0;
    this.#realtime.stop();
    this.#hls.stop();
  }

  /** Try again at once, for a button. */
  async again() {
    if (!this.#urls) return;
    if (this.#mode === "hls") await this.#hls.again();
    else await this.#tryRealtime();
  }

  /** Try WebRTC at once, for a button; what plays goes on until it has a picture. */
  tryRealtime() {
    clearTimeout(this.#timer);
    return this.#tryRealtime();
  }

  play() {
    return this.#active?.play();
  }

  goLive() {
    if (this.#mode === "webrtc") return this.#realtime.play();
    const returns = this.#hls.stays && this.#allowsRealtime();
    const going = this.#hls.goLive();
    if (returns) this.tryRealtime();
    return going;
  }

  /** Play what was live so many seconds ago; LL-HLS does that, and WebRTC waits for `goLive`. */
  goBack(seconds) {
    clearTimeout(this.#timer);
    this.#realtime.stop();
    if (this.#mode !== "hls") this.#openHls();
    return this.#hls.goBack(seconds);
  }

  shownAt() {
    return this.#active?.shownAt() ?? null;
  }

  /** What the stats overlay shows of the connection; null values are not known. */
  stats() {
    const quality = this.#video.getVideoPlaybackQuality?.();
    const shown = {
      transport: this.#mode,
      width: this.#video.videoWidth,
      height: this.#video.videoHeight,
      decoded: quality?.totalVideoFrames ?? null,
      dropped: quality?.droppedVideoFrames ?? null,
      buffer: this.#mode === "hls" ? this.bufferSeconds : null,
    };
    if (this.#mode === "webrtc") return { ...shown, ...this.#realtime.measured, session: undefined };
    const level = this.hls?.levels?.[this.hls.currentLevel];
    return { ...shown, bitrate: level?.bitrate || null, codec: level?.videoCodec ?? null };
  }

  get #active() {
    return { webrtc: this.#realtime, hls: this.#hls }[this.#mode] ?? null;
  }

  /** "auto", "webrtc" or "hls": what is wanted, within what may be. */
  get #way() {
    if (!this.#may.hls) return "webrtc";
    return this.#may.whep ? this.#wanted : "hls";
  }

  #allowsRealtime() {
    return this.#way !== "hls" && Boolean(this.#urls?.whep) && Realtime.supported;
  }

  async #tryRealtime() {
    if (this.#trying) return;
    this.#trying = true;
    const urls = this.#urls;
    try {
      await this.#realtime.open(urls.whep, () => {
        this.#hls.stop();
        this.#mode = "webrtc";
        this.#failures = 0;
        this.#refused = null;
      });
    } catch (error) {
      if (urls === this.#urls) this.#failed(error);
    } finally {
      this.#trying = false;
    }
    this.dispatchEvent(new Event("change"));
  }

  /** WebRTC does not work out now: LL-HLS plays, and WebRTC is tried again later. */
  #failed(error) {
    if (!this.#urls) return;
    const wait = this.#waitAfter(error);
    this.#failures += 1;
    if (this.#way === "webrtc") {
      this.#realtime.stop();
      this.#mode = null;
      this.#refused = [401, 403].includes(error?.status) ? "denied" : "offline";
    } else if (this.#mode !== "hls") this.#openHls();
    clearTimeout(this.#timer);
    const again = () => this.#hls.stays || !this.#allowsRealtime() || this.#tryRealtime();
    this.#timer = setTimeout(again, wait * 1000 * (0.85 + 0.3 * Math.random()));
    this.dispatchEvent(new Event("change"));
  }

  #waitAfter(error) {
    if (this.#way === "webrtc") return Math.max(1, error?.retryAfter ?? 0);
    if (error?.status === 404) return RETRY_ABSENT_S;
    if (error?.retryAfter) return Math.max(RETRY_ABSENT_S, error.retryAfter);
    return RETRY_S[Math.min(this.#failures, RETRY_S.length - 1)];
  }

  #openHls() {
    this.#realtime.stop();
    this.#mode = "hls";
    this.#hls.load(this.#urls.hls);
    this.dispatchEvent(new Event("change"));
  }
}
