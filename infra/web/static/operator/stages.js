// How old media are when they leave each stage between the encoder and the viewers.

import { el, keyed, say } from "./dom.js";
import { milliseconds, stageWords } from "./words.js";

const ORDER = ["demuxed", "published", "sent", "packaged", "uploaded"];

export class Stages {
  #body = el("tbody");
  #none = el("p", { class: "quiet" }, "Nothing was measured yet.");
  #table;

  constructor() {
    const head = ["Stage", "Half within", "95 % within"].map((word) => el("th", { scope: "col" }, word));
    this.#table = el("table", {}, el("caption", { class: "visually-hidden" }, "Latency by stage"), el("thead", {}, el("tr", {}, ...head)), this.#body);
    const note = el("p", { class: "quiet" }, "Since the media came in, over everything that this media node has on the air, in the last five seconds.");
    this.node = el("div", {}, this.#table, this.#none, note);
  }

  update(reading) {
    const known = ORDER.filter((stage) => reading?.stages[stage]);
    this.#table.hidden = !known.length;
    this.#none.hidden = known.length > 0;
    keyed(this.#body, known.map((stage) => ({ stage, ...reading.stages[stage] })), ({ stage }) => stage, makeRow);
  }
}

function makeRow({ stage }) {
  const [word, explained] = stageWords(stage);
  const [half, most] = [el("td"), el("td")];
  return {
    node: el("tr", {}, el("th", { scope: "row" }, word, el("span", { class: "quiet block" }, explained)), half, most),
    update({ p50_ms, p95_ms }) {
      say(half, milliseconds(p50_ms));
      say(most, milliseconds(p95_ms));
    },
  };
}
