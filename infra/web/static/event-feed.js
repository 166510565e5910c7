// Follows one event: asks for its playback info, lightly, and tells when something changed.

const PERIOD_MS = { scheduled: 3000, lobby: 2000, live: 10000, reconnecting: 3000, ended: 5000, archived: 60000, cancelled: 60000 };

export class EventFeed extends EventTarget {
  /** The last playback info, or null. */
  event = null;
  /** null, "not-found" or "offline". */
  trouble = null;
  #id;
  #wake = () => {};

  constructor(id) {
    super();
    this.#id = id;
  }

  /** Ask at once instead of at the next period. */
  refresh() {
    this.#wake();
  }

  async run() {
    for (;;) {
      await this.#ask();
      this.dispatchEvent(new Event("change"));
      const period = this.trouble ? 4000 : (PERIOD_MS[this.event?.state] ?? 4000);
      // Spread the crowd: everybody opened the page at the same announcement.
      await this.#pause(period * (0.85 + 0.3 * Math.random()));
    }
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #ask() {
    try {
      const response = await fetch(`/v1/playback/${encodeURIComponent(this.#id)}`, { cache: "no-store" });
      if (response.status === 404) {
        this.trouble = "not-found";
        return;
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.event = await response.json();
      this.trouble = null;
    } catch {
      this.trouble = "offline"; // what is playing goes on; only news is missing
    }
  }
}
