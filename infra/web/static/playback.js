// Plays one LL-HLS URL in a <video>: hls.js where it can, the browser's own HLS on Safari.
// It recovers by itself; what it cannot repair it reports as `trouble`.

import { HlsVideo } from "./hls-video.js";
import { fromDateRange } from "./moments.js";

/** Events: "change", "marker". */
export class Playback extends EventTarget {
  /** null, "offline", "denied", "blocked" or "unsupported". */
  trouble = null;
  /** The end of the stream was reached. */
  finished = false;
  #video;
  #source;
  #url = null;
  /** The event has a past: a viewer who pauses or goes back stays there. */
  mayStay = false;
  #stays = false;
  /** Seconds behind live to go to once something plays; null: none. */
  #wanted = null;
  #forbiddenAt = -Infinity;

  /** `urls` is {hls, worker}: where the library lies. */
  constructor(video, urls) {
    super();
    this.#video = video;
    this.#source = new HlsVideo(video, urls);
    video.addEventListener("playing", () => this.#healthy());
    video.addEventListener("pause", () => {
      this.#stays ||= this.mayStay && this.#url !== null;
    });
    video.addEventListener("loadeddata", () => {
      if (this.#wanted !== null) this.goBack(this.#wanted);
    });
    video.addEventListener("ended", () => {
      this.finished = true;
      this.#changed();
    });
    video.addEventListener("error", () => {
      if (!this.hls && this.#url) this.#retry("offline");
    });
  }

  /** The hls.js instance while one plays; null under native HLS. */
  get hls() {
    return this.#source.hls;
  }

  /** Start playing `url`; the same URL again changes nothing. */
  async load(url) {
    if (url === this.#url) return;
    this.stop();
    this.#url = url;
    await this.#open();
  }

  stop() {
    this.#source.stopWaiting();
    this.#url = null;
    this.finished = false;
    this.trouble = null;
    this.#stays = false;
    this.#wanted = null;
    this.#source.retries = 0;
    this.#source.close();
  }

  /** Try again at once, for a button. */
  async again() {
    this.#source.stopWaiting();
    this.trouble = null;
    this.#changed();
    if (this.#url) await this.#open();
  }

  async play() {
    const video = this.#video;
    try {
      await video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // superseded by a newer load
      if (!video.muted) {
        video.muted = true; // browsers allow silent autoplay
        return this.play();
      }
      this.#report("blocked");
    }
  }

  goLive() {
    this.#stays = false;
    this.#wanted = null;
    const position = this.#livePosition;
    if (Number.isFinite(position)) this.#video.currentTime = position;
    return this.play();
  }

  /** Play what was live so many seconds ago, or the oldest that there is. */
  goBack(seconds) {
    this.#stays = true;
    const ready = this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.#wanted = ready && Number.isFinite(this.#livePosition) ? null : seconds;
    if (this.#wanted === null) this.#video.currentTime = this.#livePosition - Math.min(seconds, this.reach);
    return this.play();
  }

  /** The viewer went back, or paused, and does not want to be moved. */
  get stays() {
    return this.#stays;
  }

  /** Seconds behind where live is played. */
  get behind() {
    return this.#wanted ?? Math.max(0, this.#livePosition - this.#video.currentTime || 0);
  }

  /** How many seconds behind it the viewer may go; what is about to leave is left out. */
  get reach() {
    const details = this.hls?.latestLevelDetails;
    const { seekable } = this.#video;
    const start = details ? details.fragmentStart + details.targetduration : seekable.length ? seekable.start(0) : NaN;
    return Math.max(0, this.#livePosition - start || 0);
  }

  /** Unix time in ms at which the programme took in the frame that is shown now, or null. */
  shownAt() {
    if (this.hls) return this.hls.playingDate?.getTime() ?? null;
    const start = this.#video.getStartDate?.().getTime();
    return Number.isFinite(start) ? start + this.#video.currentTime * 1000 : null;
  }

  /** The distance from the edge that the playlist asks for, in seconds. */
  get target() {
    return this.hls?.targetLatency ?? 3;
  }

  get bufferSeconds() {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + 0.1 && currentTime < buffered.end(i)) {
        return buffered.end(i) - currentTime;
      }
    }
    return 0;
  }

  async #open() {
    const url = this.#url;
    const way = await this.#source.way();
    if (url !== this.#url) return undefined; // superseded
    if (way === "missing") return this.#retry("offline");
    if (way === "nothing") return this.#report("unsupported");
    if (way === "hls.js") return this.#openHls();
    this.#video.src = url;
    return this.play();
  }

  #openHls() {
    this.#source.close();
    const options = {
      lowLatencyMode: true,
      backBufferLength: 30,
      // Play a little faster to win back what a short stall cost.
      maxLiveSyncPlaybackRate: 1.08,
      liveSyncOnStallIncrease: 0.25,
    };
    this.#source.start(this.#url, options, {
      ERROR: (data) => this.#hlsError(data),
      MANIFEST_PARSED: () => this.play(),
      LEVEL_UPDATED: ({ details }) => this.#levelUpdated(details),
    });
  }

  #levelUpdated({ dateRanges, targetduration }) {
    this.#tellMarkers(dateRanges);
    // hls.js plays faster only within the target and a target duration of its target; who is
    // further behind would stay there, so jumps. As a constructor option this needs a fixed
    // distance beside it, which would replace the PART-HOLD-BACK that the playlist asks for.
    this.hls.config.liveMaxLatencyDuration = this.#stays ? Infinity : 2 * this.target + targetduration;
  }

  /** Every update lists all that are there; whoever listens knows them by their ids. */
  #tellMarkers(dateRanges) {
    for (const range of Object.values(dateRanges ?? {})) {
      const detail = fromDateRange(range);
      if (detail) this.dispatchEvent(new CustomEvent("marker", { detail }));
    }
  }

  #hlsError(data) {
    const status = data.response?.code;
    if (status === 403 && performance.now() - this.#forbiddenAt > 5000) {
      // What the viewer may have has changed: the list of renditions is another one now.
      this.#forbiddenAt = performance.now();
      return this.#openHls();
    }
    if (status === 401 || status === 403) {
      this.#source.close();
      return this.#report("denied");
    }
    if (data.fatal && !this.#source.repaired(data)) this.#retry("offline");
  }

  #retry(code) {
    this.#source.close();
    this.#report(code);
    this.#source.again(() => this.#open());
  }

  get #livePosition() {
    if (this.hls) return this.hls.liveSyncPosition ?? NaN;
    const { seekable } = this.#video;
    return seekable.length ? seekable.end(seekable.length - 1) - 1 : NaN;
  }

  #healthy() {
    this.#source.retries = 0;
    this.finished = false;
    this.#report(null);
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
