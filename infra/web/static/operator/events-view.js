// All events by state: what wants attention first, then what is on the air, then what comes.

import { Chart } from "./chart.js";
import { el, keyed, say, section, setAttribute } from "./dom.js";
import { activeSource, attention, healthOf, onAir } from "./health.js";
import { bitrate, clock, count, span, stateWord } from "./words.js";

const OVER = 30; // as many as the overview has
const WINDOW_MS = 15 * 60_000;
const GROUPS = [
  ["On the air", (event) => onAir(event.state)],
  ["Coming up", (event) => event.state === "scheduled" || event.state === "lobby"],
  ["Drafts", (event) => event.state === "draft"],
  ["Over", (event) => ["ended", "archived", "cancelled"].includes(event.state)],
];

export class EventsView {
  title = "Events";
  #desk;
  #attention = el("ul", { class: "attention" });
  #wanted;
  #groups;
  #none = el("p", { class: "quiet", hidden: true }, "This project has no events yet. Make one with ", el("code", {}, "livepath events create"), " or the API.");

  constructor(desk) {
    this.#desk = desk;
    this.#wanted = section("Needs attention", this.#attention);
    this.#groups = GROUPS.map(([title, holds]) => {
      const list = el("ul", { class: "cards" });
      const more = el("p", { class: "quiet", hidden: true });
      return { holds, list, more, node: section(title, list, more) };
    });
    this.node = el("div", {}, el("h1", { tabindex: "-1" }, this.title), this.#wanted, this.#none, ...this.#groups.map(({ node }) => node));
  }

  show() {
    this.update();
  }

  update() {
    const { overview } = this.#desk;
    const now = Date.now();
    const found = attention(overview, now);
    this.#wanted.hidden = !found.length;
    keyed(this.#attention, found, ({ key }) => key, makeAttention);
    const events = overview.events.items;
    this.#none.hidden = events.length > 0;
    for (const { holds, list, more, node } of this.#groups) {
      const some = events.filter(holds);
      node.hidden = !some.length;
      keyed(list, some, ({ id, state }) => `${id} ${onAir(state)}`, (event) => (onAir(event.state) ? new LiveCard(event, this.#desk) : new Card(event)));
      const whole = overview.events.counts.filter((one) => holds(one)).reduce((sum, one) => sum + one.count, 0);
      const over = some.length >= OVER && !whole;
      more.hidden = whole <= some.length && !over;
      say(more, over ? "The newest are shown." : `${count(whole - some.length, "more event", "more events")} not shown.`);
    }
  }

  close() {}
}

function makeAttention({ href }) {
  const link = el("a", { href });
  const words = el("span", {});
  const node = el("li", {}, link, " ", words);
  return {
    node,
    update({ level, title, words: said }) {
      setAttribute(node, "data-level", level);
      say(link, title);
      say(words, said);
    },
  };
}

/** An event that is not on the air. */
class Card {
  constructor(event) {
    this.name = el("a", { href: `#/events/${event.id}` });
    this.state = el("span", { class: "state" });
    this.times = el("span", { class: "quiet" });
    this.health = el("p", { class: "health" });
    this.node = el("li", { class: "card" }, el("h3", {}, this.name), el("p", { class: "line" }, this.state, this.times), this.health);
  }

  update(event) {
    const now = Date.now();
    say(this.name, event.name);
    say(this.state, stateWord(event.state));
    setAttribute(this.state, "data-state", event.state);
    say(this.times, timesOf(event, now));
    const { level, findings } = healthOf(event, now);
    setAttribute(this.health, "data-level", level);
    say(this.health, findings[0]?.[1] ?? "");
    this.health.hidden = !findings.length;
  }
}

class LiveCard extends Card {
  #desk;

  constructor(event, desk) {
    super(event);
    this.#desk = desk;
    this.viewers = el("p", { class: "figures" });
    this.chart = new Chart("Bitrate", [{ word: "Bitrate", pick: (reading) => activeSource(reading)?.kbps ?? null }], bitrate, 100);
    this.node.append(this.viewers, this.chart.node);
  }

  update(event) {
    super.update(event);
    const viewers = event.reading?.viewers;
    say(this.viewers, viewers ? `${viewers.whep} by WebRTC · ${viewers.hls} by LL-HLS` : "Viewers are not known yet");
    const now = Date.now();
    this.chart.update(this.#desk.history(event.id), WINDOW_MS, now);
  }
}

export function timesOf(event, now) {
  if (onAir(event.state)) return event.started_at ? `for ${span(now - Date.parse(event.started_at))}` : "";
  if (event.ended_at) return `ended ${clock(event.ended_at, now)}`;
  if (!event.starts_at) return "no start announced";
  const left = Date.parse(event.starts_at) - now;
  return left > 0 ? `starts in ${span(left)}, ${clock(event.starts_at, now)}` : `was to start ${clock(event.starts_at, now)}`;
}
