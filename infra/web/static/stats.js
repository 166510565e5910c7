// The stats overlay: a list over the picture, redrawn while it is open.

import { statsRows } from "./messages.js";

const PERIOD_MS = 1000;

export class StatsOverlay {
  #panel = document.getElementById("stats");
  #button = document.getElementById("stats-toggle");
  #read;
  #timer = 0;

  /** `read` returns {stats, latency}. */
  constructor(read) {
    this.#read = read;
    this.#button.addEventListener("click", () => this.toggle());
  }

  toggle() {
    this.#panel.hidden = !this.#panel.hidden;
    this.#button.setAttribute("aria-pressed", String(!this.#panel.hidden));
    clearInterval(this.#timer);
    if (this.#panel.hidden) return;
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), PERIOD_MS);
  }

  #draw() {
    const { stats, latency } = this.#read();
    const rows = statsRows(stats, latency).map(([label, text]) => {
      const row = document.createElement("div");
      const [term, value] = ["dt", "dd"].map((name) => document.createElement(name));
      term.textContent = label;
      value.textContent = text;
      row.append(term, value);
      return row;
    });
    this.#panel.replaceChildren(...rows);
  }
}
