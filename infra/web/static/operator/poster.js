// The newest picture of an event that is live, as the cold path keeps it: a new one every ten seconds.

import { el, say } from "./dom.js";
import { clock } from "./words.js";

const EVERY_MS = 10_000;

export class Poster {
  #api;
  #image = el("img", { alt: "", hidden: true });
  #words = el("figcaption", { class: "quiet" }, "No picture yet.");
  #shown = null;
  #asked = 0;

  constructor(api) {
    this.#api = api;
    this.node = el("figure", { class: "poster" }, this.#image, this.#words);
    this.#image.addEventListener("error", () => (this.#image.hidden = true));
    this.#image.addEventListener("load", () => (this.#image.hidden = false));
  }

  /** Looks for a newer one, no more often than there is one. */
  async update(event) {
    const now = Date.now();
    if (now - this.#asked < EVERY_MS) return;
    this.#asked = now;
    let found;
    try {
      const kind = event.state === "archived" ? "poster" : "poster-live";
      found = (await this.#api.get(`/v1/events/${encodeURIComponent(event.id)}/assets`, { kind, limit: 1 })).items[0];
    } catch {
      return; // the next one comes soon
    }
    if (!found || found.id === this.#shown) return;
    this.#shown = found.id;
    this.#image.src = found.url;
    this.#image.alt = `Picture of ${event.name}`;
    say(this.#words, `Picture of ${clock(found.created_at)}`);
  }
}
