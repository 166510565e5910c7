// Plays one event over WebRTC in a <video>: one WHEP session at a time, and a second one only while
// playback moves over to it (make before break). What it cannot repair it reports as `trouble`.

import { ExchangeError } from "./exchange.js";
import { WhepSession } from "./whep.js";

const RETRY_MS = [0, 1000, 2000, 4000];
const POLL_MS = 500;
// Without a new frame for this long, the picture stands still.
const STILL_MS = 1600;

export class Realtime extends EventTarget {
  /** null, "offline" or "blocked". */
  trouble = null;
  finished = false;
  /** The last measurement of the session that plays, with rates against the one before. */
  measured = null;
  #video;
  #url = null;
  #going = null;
  #session = null;
  #coming = null;
  #moves = 0;
  #progressAt = -Infinity;
  #poll = 0;

  /** Events: "change", "failed" ({error}: it gave up), "marker". */
  constructor(video) {
    super();
    this.#video = video;
  }

  static get supported() {
    return "RTCPeerConnection" in window;
  }

  /** What plays, or what playback is moving over to. */
  get url() {
    return this.#going ?? this.#url;
  }

  /** Open `url` until it has a picture, then show it. Raises `ExchangeError`; `moved` tells when. */
  async open(url, moved = () => {}) {
    this.#moves += 1;
    const session = await this.#prepare(url);
    moved();
    return this.#show(session, url);
  }

  /** A session on `url` with a picture; nothing is shown yet. */
  async #prepare(url) {
    const session = new WhepSession(url);
    session.addEventListener("marker", ({ detail }) => {
      this.dispatchEvent(new CustomEvent("marker", { detail }));
    });
    this.#coming?.close();
    this.#coming = session;
    await session.open();
    if (this.#coming !== session) {
      session.close();
      throw new ExchangeError("overtaken");
    }
    this.#coming = null;
    return session;
  }

  /** Show what `#prepare` has opened; the session before it is closed afterwards. */
  #show(session, url) {
    const before = this.#session;
    this.#session = session;
    this.#url = url;
    this.#going = null;
    this.#progressAt = performance.now();
    this.finished = false;
    session.addEventListener("control", ({ detail }) => this.#control(session, detail));
    session.addEventListener("lost", () => this.#lost(session));
    session.addEventListener("rendition", () => session === this.#session && this.#changed());
    this.#video.srcObject = session.stream;
    before?.close();
    clearInterval(this.#poll);
    this.#poll = setInterval(() => this.#measure(), POLL_MS);
    this.#measure();
    this.#report(null);
    return this.play();
  }

  stop() {
    this.#moves += 1;
    clearInterval(this.#poll);
    this.#coming?.close();
    this.#session?.close();
    this.#coming = this.#session = this.#url = this.#going = this.measured = this.trouble = null;
    this.finished = false;
    if (this.#video.srcObject) this.#video.srcObject = null;
  }

  async play() {
    const video = this.#video;
    try {
      await video.play();
      if (this.trouble === "blocked") this.#report(null);
    } catch (error) {
      if (error.name !== "NotAllowedError") return undefined; // superseded by a newer source
      if (!video.muted) {
        video.muted = true; // browsers allow silent autoplay
        return this.play();
      }
      this.#report("blocked");
    }
    return undefined;
  }

  /** A frame came a moment ago, or sound where that is all that the viewer gets. */
  get moving() {
    return Boolean(this.#session) && !this.#video.paused && performance.now() - this.#progressAt < STILL_MS;
  }

  /** What the server has moved this viewer to, and why: {rendition, reason}; null: nothing. */
  get rendition() {
    return this.#session?.rendition ?? null;
  }

  get #soundOnly() {
    return this.rendition?.rendition === "audio";
  }

  /** Unix time in ms at which the programme took in the frame that is shown now, or null. */
  shownAt() {
    const { measured } = this;
    // The picture of a viewer that gets sound alone stands still, and tells nothing of the sound.
    if (!measured?.playoutUnixMs || this.#soundOnly) return null;
    return measured.playoutUnixMs + (performance.now() - measured.takenAt);
  }

  /** Go over to `url`, with the old session playing until the new one has a picture; where it
   * `mayStay` and cannot go, it plays on. */
  async move(url, mayStay = false) {
    this.#moves += 1;
    this.#going = url;
    const mine = this.#moves;
    let error = null;
    for (const wait of RETRY_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait * (0.8 + 0.4 * Math.random())));
      if (mine !== this.#moves) return;
      try {
        const session = await this.#prepare(url);
        return await this.#show(session, url);
      } catch (caught) {
        error = caught;
        if (mine !== this.#moves) return;
        // A node that is full or has no such event will not change its mind within seconds.
        if (caught.kind === "refused") break;
      }
    }
    this.#going = null;
    if (!mayStay) this.dispatchEvent(new CustomEvent("failed", { detail: { error } }));
  }

  #control(session, { type, whep_url: next, url, retry_after_s: retryAfter = null }) {
    if (session !== this.#session) return;
    // Who is asked to move and cannot is asked again; a node that drains is about to stop.
    if (type === "move" || type === "drain") this.move(withTokenOf(this.#url, next ?? url) ?? this.#url, type === "move");
    else if (type === "ended") {
      this.finished = true;
      this.#changed();
    } else if (type === "revoked" || type === "fallback") {
      const error = retryAfter ? new ExchangeError("refused", { retryAfter }) : null;
      this.dispatchEvent(new CustomEvent("failed", { detail: { error } }));
    }
  }

  #lost(session) {
    if (session !== this.#session) return;
    this.#report("offline");
    this.move(this.#url);
  }

  async #measure() {
    const session = this.#session;
    const now = await session?.stats().catch(() => null);
    if (!now || session !== this.#session) return;
    const before = this.measured?.session === session ? this.measured : null;
    const seconds = before ? (now.at - before.at) / 1000 : 0;
    if (!before || now.decoded > before.decoded || (this.#soundOnly && now.bytes > before.bytes)) {
      this.#progressAt = performance.now();
      if (this.trouble === "offline") this.#report(null);
    }
    this.measured = {
      ...now,
      session,
      takenAt: performance.now(),
      bitrate: seconds > 0 ? ((now.bytes - before.bytes) * 8) / seconds : (before?.bitrate ?? null),
    };
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

/** `next`, as far as a server gives one, with the token prefix that `url` carries, since servers never write a viewer's token. */
export function withTokenOf(url, next) {
  if (!next) return null;
  const target = new URL(next, url);
  const prefix = new URL(url).pathname.match(/^\/t\/[^/]+/)?.[0];
  if (prefix && !target.pathname.startsWith("/t/")) target.pathname = prefix + target.pathname;
  return target.href;
}
