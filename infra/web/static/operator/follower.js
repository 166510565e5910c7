// Follows a stream of the API for as long as the page wants: a lost connection is made again behind
// the last id that was heard. Events: "message" (detail: `{ event, data }`), "state".

import { Refused } from "./api.js";
import { EventParser } from "./sse.js";

const SILENCE_MS = 45_000; // the server says something every 15 s
const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

export class Follower extends EventTarget {
  /** "connecting", "open", "lost", or "refused" for good. */
  state = "connecting";
  /** The Refused that ended it. */
  refusal = null;
  #api;
  #path;
  #last = null;
  #firstMs;
  #stop = new AbortController();

  /** `firstMs`: the pause after a loss; it doubles until something is heard again. */
  constructor(api, path, firstMs = FIRST_MS) {
    super();
    this.#api = api;
    this.#path = path;
    this.#firstMs = firstMs;
  }

  close() {
    this.#stop.abort();
  }

  async run() {
    let pause = this.#firstMs;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#connect(() => (pause = this.#firstMs));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof Refused && [401, 403].includes(error.status)) {
          this.refusal = error;
          this.#become("refused");
          return;
        }
      }
      if (this.#stop.signal.aborted) return;
      this.#become("lost");
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(LONGEST_MS, pause * 2);
    }
  }

  async #connect(heard) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    this.#stop.signal.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const response = await this.#api.open(this.#path, { lastEventId: this.#last, signal: attempt.signal });
      this.#become("open");
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        heard();
        for (const one of parser.feed(read.value)) this.#hear(one);
      }
    } finally {
      clearTimeout(silence);
      this.#stop.signal.removeEventListener("abort", end);
    }
  }

  #hear({ event, data, id }) {
    if (id) this.#last = id;
    if (data === null) return;
    let said;
    try {
      said = JSON.parse(data);
    } catch {
      return; // nothing that this page understands
    }
    this.dispatchEvent(new CustomEvent("message", { detail: { event, data: said } }));
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
