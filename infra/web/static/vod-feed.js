// Follows one recording: asks what there is of it until everything is there.

const PERIOD_MS = { "not-begun": 10000, live: 10000, making: 2000, failed: 30000 };
const TROUBLE_MS = 4000;
/** A recording that plays may still get pictures, captions and a file to download: it is asked for ever more rarely. */
const GROWING_MS = 4000;
const WHOLE_MS = 60000;

export class VodFeed extends EventTarget {
  /** The recording as the API shows it, or null. */
  vod = null;
  /** null, "not-found", "denied" or "offline". */
  trouble = null;
  #url;
  #headers;
  #growing = GROWING_MS;

  constructor(id, token) {
    super();
    this.#url = `/v1/playback/${encodeURIComponent(id)}`;
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  async run() {
    for (;;) {
      await this.#ask();
      this.dispatchEvent(new Event("change"));
      const period = this.#period * (0.85 + 0.3 * Math.random());
      await new Promise((resolve) => setTimeout(resolve, period));
    }
  }

  /** One clip, as the API shows it; throws an Error that says why there is none. */
  clip(id) {
    return this.#call("GET", `/clips/${encodeURIComponent(id)}`);
  }

  makeClip(wanted) {
    return this.#call("POST", "/clips", wanted);
  }

  get #period() {
    if (this.trouble) return TROUBLE_MS;
    if (this.vod.status !== "ready") return PERIOD_MS[this.vod.status] ?? TROUBLE_MS;
    if (this.vod.storyboard_url && this.vod.downloads.length) return WHOLE_MS;
    this.#growing = Math.min(this.#growing * 1.2, WHOLE_MS);
    return this.#growing;
  }

  async #ask() {
    try {
      const response = await fetch(`${this.#url}/recording`, { headers: this.#headers, cache: "no-store" });
      this.trouble = { 401: "denied", 403: "denied", 404: "not-found" }[response.status] ?? null;
      if (this.trouble) return;
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.vod = await response.json();
    } catch {
      this.trouble = "offline"; // what is playing goes on; only news is missing
    }
  }

  async #call(method, path, json) {
    const headers = { ...this.#headers, ...(json && { "Content-Type": "application/json" }) };
    const body = json && JSON.stringify(json);
    const response = await fetch(`${this.#url}${path}`, { method, headers, body, cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error([answer.detail, answer.fix].filter(Boolean).join(". ") || `The server answered ${response.status}`);
    return answer;
  }
}
