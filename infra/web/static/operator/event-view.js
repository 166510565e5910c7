// One event: its picture, how its ingest does, who watches, how old the media are, what happened,
// and what an operator may do with it.

import { actionsFor } from "./actions.js";
import { Addresses, folded, ingestRows, watchRows } from "./addresses.js";
import { Refused } from "./api.js";
import { Chart } from "./chart.js";
import { button, el, keyed, say, section, setAttribute, working } from "./dom.js";
import { timesOf } from "./events-view.js";
import { activeSource, healthOf, onAir } from "./health.js";
import { JobTable } from "./job-table.js";
import { Poster } from "./poster.js";
import { Sources } from "./sources.js";
import { Stages } from "./stages.js";
import { bitrate, clock, count, milliseconds, share, stateWord } from "./words.js";

const WINDOWS = [["5 minutes", 5], ["15 minutes", 15], ["An hour", 60]];
const source = (field, scale = 1) => (reading) => {
  const value = activeSource(reading)?.[field];
  return value === null || value === undefined ? null : value * scale;
};
const CHARTS = [
  ["Bitrate", [{ word: "Bitrate", pick: source("kbps") }], bitrate, 100],
  ["Pictures a second", [{ word: "Pictures", pick: source("fps") }], (value) => value.toFixed(1), 10],
  ["Lost packets", [{ word: "Lost", pick: source("lost") }], share, 0.01],
  ["Round trip", [{ word: "Round trip", pick: source("rtt_ms") }], milliseconds, 20],
];
const VIEWERS = ["Viewers", [
  { word: "WebRTC (WHEP)", pick: (reading) => reading.viewers.whep },
  { word: "LL-HLS", pick: (reading) => reading.viewers.hls },
], (value) => String(Math.round(value)), 5];
const LATENCY = ["95 % of media are this old", [
  { word: "sent by WebRTC", pick: (reading) => reading.stages.sent?.p95_ms ?? null },
  { word: "packaged for LL-HLS", pick: (reading) => reading.stages.packaged?.p95_ms ?? null },
], milliseconds, 50];

export class EventView {
  title = "Event";
  #desk;
  #notices;
  #id;
  #full = null;
  #closed = false;
  #minutes = 15;

  constructor(desk, notices, id) {
    this.#desk = desk;
    this.#notices = notices;
    this.#id = id;
    this.#build();
  }

  get #path() {
    return `/v1/events/${encodeURIComponent(this.#id)}`;
  }

  #build() {
    this.heading = el("h1", { tabindex: "-1" }, "Event");
    this.state = el("span", { class: "state" });
    this.times = el("span", { class: "quiet" });
    this.trouble = el("p", { class: "trouble", role: "alert", hidden: true });
    this.health = el("ul", { class: "findings" });
    this.poster = new Poster(this.#desk.api);
    this.sources = new Sources();
    this.charts = CHARTS.map((one) => new Chart(...one));
    this.viewers = new Chart(...VIEWERS);
    this.latency = new Chart(...LATENCY);
    this.stages = new Stages();
    this.happened = el("ol", { class: "happened" });
    this.watch = new Addresses(this.#notices);
    this.ingest = new Addresses(this.#notices);
    this.keyless = el("p", { class: "quiet", hidden: true }, "This API key does not show them (it lacks ingest:read and events:write), or the event is over.");
    this.jobs = new JobTable(this.#desk, this.#notices, "Jobs of this event", () => this.#loadJobs());
    this.actions = el("div", { class: "actions", role: "group", "aria-label": "Actions" });
    this.live = [
      section("Ingest", this.sources.node, this.#windows(), el("div", { class: "measures" }, ...this.charts.map(({ node }) => node))),
      section("Viewers", el("div", { class: "measures" }, this.viewers.node)),
      section("Latency", this.stages.node, el("div", { class: "measures" }, this.latency.node)),
    ];
    this.node = el("article", {},
      el("p", {}, el("a", { href: "#/events" }, "All events")),
      this.heading, el("p", { class: "line" }, this.state, this.times), this.trouble,
      el("div", { class: "top" }, this.poster.node, el("div", {}, section("Health", this.health), this.actions)),
      ...this.live,
      section("What happened", this.happened),
      section("Addresses", this.watch.node, folded("Ingest addresses: whoever has them can publish", this.ingest.node, this.keyless)),
      section("Jobs", this.jobs.node));
  }

  #windows() {
    const select = el("select", { id: "window", on: { change: () => {
      this.#minutes = Number(select.value);
      this.#drawCharts();
    } } }, ...WINDOWS.map(([word, minutes]) => el("option", { value: minutes, selected: minutes === this.#minutes }, word)));
    return el("p", { class: "line" }, el("label", { for: "window" }, "Show the last"), select);
  }

  async show() {
    this.update();
    await Promise.all([this.#load(), this.#loadReadings(), this.#loadJobs()]);
  }

  close() {
    this.#closed = true;
  }

  /** A public event of the stream: this view reads again what it is about. */
  hear(message) {
    if (message.event !== this.#id) return;
    if (message.type.startsWith("job.")) this.#loadJobs();
    else if (message.type !== "asset.ready") this.#load();
  }

  async #load() {
    await this.#attempt(async () => {
      this.#full = await this.#desk.api.get(this.#path);
      this.trouble.hidden = true;
      this.update();
    });
  }

  async #loadReadings() {
    await this.#attempt(async () => {
      const { items } = await this.#desk.api.get(`${this.#path}/readings`);
      this.#desk.history(this.#id).add(items);
      this.#drawCharts();
    });
  }

  async #loadJobs() {
    if (!this.#desk.may("jobs:read")) return this.jobs.refuse("This API key may not see jobs: it lacks jobs:read.");
    return this.#attempt(async () => {
      const { items } = await this.#desk.api.get("/v1/jobs", { event: this.#id, limit: 200 });
      this.jobs.updateWithoutSegments(items);
    });
  }

  async #attempt(work) {
    try {
      await work();
    } catch (error) {
      if (this.#closed) return;
      if (!(error instanceof Refused)) throw error;
      say(this.trouble, error.words);
      this.trouble.hidden = false;
    }
  }

  /** The event of the overview, or where that does not have it, what is known of it. */
  get #event() {
    const known = this.#desk.overview.events.items.find(({ id }) => id === this.#id);
    if (known || !this.#full) return known ?? null;
    const { ingest, recording, ...rest } = this.#full;
    return { ...rest, primary: ingest.primary, backup: ingest.backup, active: ingest.active, recent: ingest.recent, recording_degraded: recording.degraded, reading: null };
  }

  update() {
    const event = this.#event;
    if (!event) return;
    const now = Date.now();
    this.title = event.name;
    say(this.heading, event.name);
    say(this.state, stateWord(event.state));
    setAttribute(this.state, "data-state", event.state);
    say(this.times, timesOf(event, now));
    this.#updateHealth(healthOf(event, now));
    for (const node of this.live) node.hidden = !onAir(event.state) && !this.#desk.history(this.#id).readings.length;
    this.sources.update(event);
    this.stages.update(onAir(event.state) ? event.reading : null);
    this.#drawCharts();
    this.#updateFull();
    this.#updateActions(event);
    if (!document.hidden && (onAir(event.state) || event.state === "archived")) this.poster.update(event);
    this.poster.node.hidden = !onAir(event.state) && event.state !== "archived";
  }

  #updateHealth({ findings }) {
    const shown = findings.length ? findings : [["idle", "Nothing to tell: the event is not on the air."]];
    keyed(this.health, shown, ([, words]) => words, ([, words]) => {
      const node = el("li", {}, words);
      return { node, update: ([level]) => setAttribute(node, "data-level", level) };
    });
  }

  #updateFull() {
    if (!this.#full) return;
    this.watch.update(watchRows(this.#full));
    const rows = ingestRows(this.#full);
    this.ingest.update(rows);
    this.keyless.hidden = rows.length > 0;
    const recent = this.#full.ingest.recent;
    keyed(this.happened, recent.length ? recent : [{ at: "", type: "", message: "Nothing was reported." }], ({ at, type, message }) => `${at} ${type} ${message}`, makeNotice);
  }

  #updateActions(event) {
    const actions = actionsFor({ event, full: this.#full, desk: this.#desk, notices: this.#notices, changed: () => this.#load() });
    keyed(this.actions, actions, ({ word }) => word, ({ word, danger, href }) => {
      let doing;
      const node = href ? el("a", { class: "button", href, target: "_blank", rel: "noopener" }, word)
        : button(word, working(() => doing(), (...told) => this.#notices.tell(...told)), { class: danger ? "danger" : null });
      return {
        node,
        update(action) {
          doing = action.run;
          if (action.href) setAttribute(node, "href", action.href);
        },
      };
    });
  }

  #drawCharts() {
    const history = this.#desk.history(this.#id);
    for (const chart of [...this.charts, this.viewers, this.latency]) chart.update(history, this.#minutes * 60_000, Date.now());
  }
}

function makeNotice({ at, message }) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return { node: el("li", {}, at ? el("time", { datetime: at, class: "quiet" }, clock(at)) : null, " ", text), update() {} };
}
