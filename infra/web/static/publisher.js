// Keeps one WHIP session to one event going until it is told to stop.

import { publishTrouble, worthRetrying } from "./publish-messages.js";
import { WhipSession } from "./whip.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** Events: "change". `state` is idle, connecting, publishing or reconnecting. */
export class Publisher extends EventTarget {
  state = "idle";
  /** Why it does not publish, in words, or null. */
  trouble = null;
  /** The last measurement, with the bit rate since the one before. */
  measured = null;
  #url = "";
  #token;
  #session = null;
  #attempt = 0;
  #failures = 0;

  constructor(token) {
    super();
    this.#token = token;
  }

  /** Publish `stream` to `url` until `stop`. */
  async start(url, stream, quality, kind) {
    this.stop();
    this.#url = url;
    this.trouble = null;
    this.#set("connecting");
    await this.#open(stream, quality, kind);
  }

  stop() {
    this.#attempt += 1;
    this.#failures = 0;
    this.#session?.close();
    this.#session = this.measured = null;
    if (this.state !== "idle") this.#set("idle");
  }

  /** Send these tracks instead, from now on. */
  async replace(stream) {
    for (const track of stream.getTracks()) await this.#session?.replace(track);
  }

  async measure() {
    const session = this.#session;
    const now = await session?.stats().catch(() => null);
    if (!now || session !== this.#session) return;
    const before = this.measured?.session === session ? this.measured : null;
    const seconds = before ? (now.at - before.at) / 1000 : 0;
    const bitrate = seconds > 0 ? ((now.bytes - before.bytes) * 8) / seconds : (before?.bitrate ?? null);
    this.measured = { ...now, session, bitrate };
  }

  async #open(stream, quality, kind) {
    this.#attempt += 1;
    const mine = this.#attempt;
    const session = new WhipSession(this.#url, this.#token, stream.getTracks(), quality, kind);
    this.#session?.close();
    this.#session = session;
    session.addEventListener("lost", () => mine === this.#attempt && this.#again(stream, quality, kind));
    try {
      await session.open();
    } catch (error) {
      if (mine === this.#attempt) this.#failed(error, stream, quality, kind);
      return;
    }
    if (mine !== this.#attempt) return;
    this.#failures = 0;
    this.trouble = null;
    this.#set("publishing");
  }

  #failed(error, ...rest) {
    this.trouble = publishTrouble(error);
    if (worthRetrying(error)) this.#again(...rest, (error.retryAfter ?? 0) * 1000);
    else {
      this.stop();
      this.dispatchEvent(new Event("change"));
    }
  }

  #again(stream, quality, kind, atLeast = 0) {
    const mine = this.#attempt;
    const wait = Math.max(atLeast, RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)]);
    this.#failures += 1;
    this.#set("reconnecting");
    setTimeout(() => {
      if (mine === this.#attempt) this.#open(stream, quality, kind);
    }, wait * (0.8 + 0.4 * Math.random()));
  }

  #set(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
