// One line, or two, over time: a picture for those who see it and a sentence for those who do not.

import { el, say, setAttribute } from "./dom.js";
import { extent, polylines, topFor } from "./history.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 60;

/**
 * `lines`: `[{ word, pick }]`, read from readings; `text(value)` writes a value; `least`: the upper
 * edge is no lower than that.
 */
export class Chart {
  #lines;
  #text;
  #least;
  #now;
  #range;
  #groups;
  #svg;

  constructor(title, lines, text, least = 1) {
    this.#lines = lines;
    this.#text = text;
    this.#least = least;
    this.#now = el("span", { class: "now" });
    this.#range = el("span", { class: "quiet" });
    this.#svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart" });
    this.#groups = lines.map((_, place) => svg("g", { class: `line line-${place + 1}` }));
    this.#svg.append(...this.#groups);
    const key = lines.length > 1 ? el("span", { class: "key quiet" }, ...lines.flatMap(({ word }, place) => [el("span", { class: `swatch line-${place + 1}`, "aria-hidden": "true" }), `${word} `])) : null;
    this.title = title;
    this.node = el("figure", { class: "measure" }, el("figcaption", {}, el("span", {}, title), this.#now), this.#svg, el("div", { class: "foot" }, this.#range, key));
  }

  /** Shows the last `windowMs` of `history`, or as much as there is. */
  update(history, windowMs, to) {
    const from = history.from(to, windowMs);
    const series = this.#lines.map(({ pick }) => history.series(pick, from));
    const extents = series.map(extent);
    const known = extents.filter(Boolean);
    const top = topFor(Math.max(0, ...known.map(({ greatest }) => greatest)), this.#least);
    series.forEach((one, place) => this.#draw(this.#groups[place], polylines(one, { from, to, width: WIDTH, height: HEIGHT, top })));
    const last = extents.map((one) => (one ? this.#text(one.last) : "–"));
    say(this.#now, last.join(" · "));
    const ends = known.length === 1 ? [known[0].least, known[0].greatest].map(this.#text) : [];
    say(this.#range, [...new Set(ends)].join(" to "));
    const said = this.#lines.map(({ word }, place) => {
      const one = extents[place];
      const name = this.#lines.length > 1 ? `${word}: ` : "";
      return one ? `${name}${this.#text(one.last)} now, between ${this.#text(one.least)} and ${this.#text(one.greatest)}` : `${name}nothing measured`;
    });
    setAttribute(this.#svg, "aria-label", `${this.title}. ${said.join("; ")}.`);
  }

  #draw(group, lines) {
    while (group.children.length > lines.length) group.lastElementChild.remove();
    while (group.children.length < lines.length) group.append(svg("polyline", { "vector-effect": "non-scaling-stroke" }));
    lines.forEach((points, place) => setAttribute(group.children[place], "points", points));
  }
}

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
