// What is due to this viewer by its token, and by what was changed since: asked of the control API at
// first and while LL-HLS plays, which has no channel that would tell. WebRTC's has.

const PERIOD_MS = 5000;

export class Entitlement extends EventTarget {
  /** What the API says: {transports, max_rendition, role, expires_at}; null until it has said so. */
  now = null;
  #url;
  #token;
  #matters;

  /** Event: "change". `matters()`: whether an answer could change anything at this moment. */
  constructor(eventId, token, matters) {
    super();
    this.#url = `/v1/playback/${encodeURIComponent(eventId)}/access`;
    this.#token = token;
    this.#matters = matters;
  }

  /** Another token from now on. */
  set token(token) {
    this.#token = token;
    this.now = null;
    this.ask();
  }

  async run() {
    await this.ask();
    for (;;) {
      // Spread the crowd.
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS * (0.85 + 0.3 * Math.random())));
      if (this.#matters()) await this.ask();
    }
  }

  /** Ask at once. Without an answer all stays as it is. */
  async ask() {
    const token = this.#token;
    if (!token) return;
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(this.#url, { cache: "no-store", headers })
      .then((response) => (response.ok ? response.json() : null))
      .catch(() => null);
    if (!answer || token !== this.#token || same(answer, this.now)) return;
    this.now = answer;
    this.dispatchEvent(new Event("change"));
  }
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
