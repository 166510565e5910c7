// The server's clock as seen from here, so that a wrong device clock does not falsify the latency.

const SAMPLES = 4;
const REFRESH_MS = 5 * 60 * 1000;

export class ServerClock {
  #offset = 0;
  /** Half the best round trip: how far the offset may be off, in ms. Infinite until measured. */
  uncertainty = Infinity;

  /** Unix time in ms, corrected when a measurement has succeeded. */
  now() {
    return Date.now() + this.#offset;
  }

  get measured() {
    return Number.isFinite(this.uncertainty);
  }

  /** Measure now and then again every few minutes. */
  async run() {
    for (;;) {
      await this.measure();
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    }
  }

  async measure() {
    let best = Infinity;
    for (let i = 0; i < SAMPLES; i += 1) {
      try {
        const sent = performance.now();
        const response = await fetch("/clock", { cache: "no-store" });
        const trip = performance.now() - sent;
        const { unix_ms: server } = await response.json();
        // The shortest round trip bounds the error best (as NTP chooses its sample).
        if (Number.isFinite(server) && trip < best) {
          best = trip;
          this.#offset = server + trip / 2 - Date.now();
        }
      } catch {
        return; // the device clock stays in use; the next round tries again
      }
    }
    this.uncertainty = best / 2;
  }
}
