// The encoders of an event: who is connected, and how what they send arrives.

import { el, keyed, say, setAttribute } from "./dom.js";
import { bitrate, milliseconds, placeWord, protocolWord, share } from "./words.js";

const COLUMNS = ["Place", "On the air", "Bitrate", "Pictures", "Lost", "Sent again", "Round trip"];

export class Sources {
  #body = el("tbody");
  #none = el("p", { class: "quiet" }, "No encoder is connected.");
  #table;

  constructor() {
    this.#table = el("table", {}, el("caption", { class: "visually-hidden" }, "Encoders"), el("thead", {}, el("tr", {}, ...COLUMNS.map((word) => el("th", { scope: "col" }, word)))), this.#body);
    this.node = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Encoders" }, this.#table, this.#none);
  }

  /** `event`: of the overview. */
  update(event) {
    const sources = event.reading?.sources ?? [];
    this.#table.hidden = !sources.length;
    this.#none.hidden = sources.length > 0;
    say(this.#none, event.primary.connected || event.backup.connected ? "An encoder is connected; its figures come within seconds." : "No encoder is connected.");
    keyed(this.#body, sources, ({ role }) => role, makeRow);
  }
}

function makeRow() {
  const place = el("th", { scope: "row" });
  const cells = COLUMNS.slice(1).map(() => el("td"));
  const node = el("tr", {}, place, ...cells);
  return {
    node,
    update(source) {
      say(place, `${placeWord(source.role)}, ${protocolWord(source.protocol)}`);
      const latency = source.latency_ms ? ` of ${source.latency_ms} ms latency` : "";
      const texts = [
        source.silent ? "sends nothing" : source.on_air ? "yes" : "stands by",
        bitrate(source.kbps),
        source.fps === null ? "–" : `${source.fps.toFixed(1)}/s${source.damaged ? `, ${source.damaged} with holes` : ""}`,
        share(source.lost),
        share(source.resent),
        `${milliseconds(source.rtt_ms)}${latency}`,
      ];
      texts.forEach((text, column) => say(cells[column], text));
      setAttribute(node, "data-level", source.silent || source.lost >= 0.01 ? "bad" : "good");
    },
  };
}
