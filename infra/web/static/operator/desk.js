// What the page knows: the overview, the readings of each event, and how it learns of changes.
// Events: "overview", "reading" (detail: the reading), "message" (detail: a public event), "link".
// The overview is read again when the stream tells of something, once for all that comes together.

import { Refused } from "./api.js";
import { Follower } from "./follower.js";
import { onAir } from "./health.js";
import { History } from "./history.js";

const TOGETHER_MS = 400;
const BUSY_MS = 5000; // while jobs run: their progress is no public event
const IDLE_MS = 60_000;
const WITHOUT_STREAM_MS = 5000;
const HISTORIES = 200;

export class Desk extends EventTarget {
  overview = null;
  /** The last Refused; null: the overview is as fresh as it gets. */
  trouble = null;
  #histories = new Map();
  #followers;
  #timer = 0;
  #soon = 0;
  #asking = null;
  #again = false;
  #closed = false;

  constructor(api) {
    super();
    this.api = api;
    this.#followers = { news: new Follower(api, "/v1/stream"), readings: new Follower(api, "/v1/readings/stream") };
    this.#followers.news.addEventListener("message", ({ detail }) => this.#hear(detail.data));
    this.#followers.readings.addEventListener("message", ({ detail }) => this.#read(detail.data));
    for (const follower of Object.values(this.#followers)) follower.addEventListener("state", () => this.dispatchEvent(new Event("link")));
    this.#followers.news.addEventListener("state", () => this.#followers.news.state === "open" && this.refreshSoon());
  }

  /** The first overview; raises Refused where the key does not open it. */
  async open() {
    this.#take(await this.api.get("/v1/overview"));
    for (const follower of Object.values(this.#followers)) follower.run();
    this.#schedule();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
    for (const follower of Object.values(this.#followers)) follower.close();
  }

  /** "live", "connecting", "lost", or "polling" where the key may not follow the stream. */
  get link() {
    const { state } = this.#followers.news;
    if (this.trouble?.status === 0 || state === "lost") return "lost";
    return { open: "live", refused: "polling" }[state] ?? "connecting";
  }

  /** The readings of an event that are known here. */
  history(event) {
    if (!this.#histories.has(event)) {
      if (this.#histories.size >= HISTORIES) this.#histories.delete(this.#histories.keys().next().value);
      this.#histories.set(event, new History());
    }
    return this.#histories.get(event);
  }

  may(scope) {
    const scopes = this.overview?.scopes ?? [];
    return scopes.includes("*") || scopes.includes(scope);
  }

  refreshSoon() {
    if (!this.#soon) this.#soon = setTimeout(() => this.refresh(), TOGETHER_MS);
  }

  /** Reads the overview again; one at a time. */
  async refresh() {
    clearTimeout(this.#soon);
    this.#soon = 0;
    if (this.#closed) return;
    if (this.#asking) {
      this.#again = true;
      return this.#asking;
    }
    this.#asking = this.#ask();
    await this.#asking;
    this.#asking = null;
    if (this.#again) {
      this.#again = false;
      this.refreshSoon();
    }
    this.#schedule();
  }

  async #ask() {
    try {
      this.#take(await this.api.get("/v1/overview"));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.trouble = error;
      this.dispatchEvent(new Event("link"));
    }
  }

  #take(overview) {
    this.trouble = null;
    this.overview = overview;
    for (const event of overview.events.items) if (event.reading) this.history(event.id).add([event.reading]);
    this.dispatchEvent(new Event("overview"));
    this.dispatchEvent(new Event("link"));
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    let pause = this.overview?.jobs?.active.length ? BUSY_MS : IDLE_MS;
    if (this.link !== "live") pause = WITHOUT_STREAM_MS;
    this.#timer = setTimeout(() => (document.hidden ? this.#schedule() : this.refresh()), pause);
  }

  #read(reading) {
    this.history(reading.event).add([reading]);
    const event = this.overview.events.items.find(({ id }) => id === reading.event);
    if (event && onAir(event.state)) event.reading = reading;
    this.dispatchEvent(new CustomEvent("reading", { detail: reading }));
  }

  #hear(message) {
    if (message.type !== "asset.ready") this.refreshSoon();
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }
}
