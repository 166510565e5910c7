// What became of an action, in sight and by voice; and changes that only a screen reader needs told.

import { el, say } from "./dom.js";

const SHOWN_MS = 8000;
const QUIET_MS = 3000;

export class Notices {
  #visible;
  #spoken;
  #timer = 0;
  #waiting = [];
  #speaking = 0;

  constructor(visible, spoken) {
    this.#visible = visible;
    this.#spoken = spoken;
  }

  /** Trouble stays until it is dismissed. */
  tell(text, isTrouble = false) {
    clearTimeout(this.#timer);
    const dismiss = el("button", { type: "button", class: "small", on: { click: () => this.#visible.replaceChildren() } }, "Dismiss");
    const line = el("p", { class: isTrouble ? "told trouble" : "told", role: isTrouble ? "alert" : null }, el("span", {}, text), dismiss);
    this.#visible.replaceChildren(line);
    if (isTrouble) return;
    this.speak(text);
    this.#timer = setTimeout(() => line.contains(document.activeElement) || line.remove(), SHOWN_MS);
  }

  /** Said politely, several things together, and never more often than every few seconds. */
  speak(text) {
    if (!this.#waiting.includes(text)) this.#waiting.push(text);
    if (this.#speaking) return;
    const speak = () => {
      say(this.#spoken, this.#waiting.splice(0).slice(-4).join(" "));
      this.#speaking = setTimeout(() => {
        this.#speaking = 0;
        if (this.#waiting.length) speak();
        else say(this.#spoken, "");
      }, QUIET_MS);
    };
    // The next task, so that what happens together is said together.
    this.#speaking = setTimeout(speak, 50);
  }
}
