// Webhooks: whether their endpoints take what is sent, every delivery, and sending it once more.

import { Refused } from "./api.js";
import { button, el, keyed, say, setAttribute, working } from "./dom.js";
import { webhookFinding } from "./health.js";
import { clock, count, deliveryWord } from "./words.js";

const DAY_MS = 86_400_000;
const PENDING_MS = 2000;
const STATES = [["All", ""], ["Given up", "failed"], ["On their way", "pending"], ["Delivered", "delivered"]];

export class WebhooksView {
  title = "Webhooks";
  #desk;
  #notices;
  #list = el("ul", { class: "hooks" });
  #said = el("p", { class: "quiet", hidden: true });

  constructor(desk, notices) {
    this.#desk = desk;
    this.#notices = notices;
    this.node = el("div", {}, el("h1", { tabindex: "-1" }, this.title), this.#said, this.#list);
  }

  show() {
    this.update();
  }

  close() {}

  update() {
    const { webhooks } = this.#desk.overview;
    this.#said.hidden = webhooks?.length > 0;
    say(this.#said, webhooks === null ? "This API key may not see webhooks: it lacks the scope webhooks:read. Sign in with another one." : "This project has no webhooks.");
    keyed(this.#list, webhooks ?? [], ({ webhook }) => webhook.id, ({ webhook }) => new Hook(webhook, this.#desk, this.#notices));
  }
}

class Hook {
  #desk;
  #notices;
  #id;
  #deliveries = el("tbody");
  #none = el("p", { class: "quiet" }, "None.");
  #state;
  #counts = "";
  #again = 0;

  constructor({ id, url }, desk, notices) {
    this.#id = id;
    this.#desk = desk;
    this.#notices = notices;
    const act = (word, work) => button(word, working(work, (...told) => notices.tell(...told)), { "aria-label": `${word}: ${url}` });
    this.name = el("h2", { id: `hook-${id}` });
    this.url = el("p", { class: "key" });
    this.health = el("p", { class: "health" });
    this.figures = el("p", { class: "quiet" });
    this.enable = act("Enable it", () => this.#enable());
    this.test = act("Send a test", () => this.#post("test", undefined, "A test is on its way."));
    this.all = act("Deliver again what failed within a day", () => this.#replayAll());
    this.#state = el("select", { id: `state-${id}`, on: { change: () => this.#load() } }, ...STATES.map(([word, value]) => el("option", { value }, word)));
    const head = ["Type", "State", "Attempts", "When", "Actions"].map((word) => el("th", { scope: "col" }, word));
    this.details = el("details", { on: { toggle: () => this.details.open && this.#load() } },
      el("summary", { "aria-label": `Deliveries to ${url}` }, "Deliveries"),
      el("p", { class: "line" }, el("label", { for: `state-${id}` }, "Show"), this.#state),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Deliveries to ${url}` }, el("table", {}, el("caption", { class: "visually-hidden" }, "Deliveries"), el("thead", {}, el("tr", {}, ...head)), this.#deliveries), this.#none));
    this.node = el("li", { class: "card" }, this.name, this.url, this.health, this.figures, el("div", { class: "actions" }, this.enable, this.test, this.all), this.details);
  }

  update({ webhook, pending, failed }) {
    say(this.name, webhook.description || new URL(webhook.url).host);
    say(this.url, webhook.url);
    const [level, words] = webhookFinding(webhook, failed, Date.now()) ?? (webhook.enabled ? ["good", "All is well."] : ["idle", "Disabled."]);
    setAttribute(this.health, "data-level", level);
    say(this.health, words);
    const counts = `${webhook.types.join(", ")} · within a day ${pending} on their way, ${failed} given up`;
    say(this.figures, counts);
    const may = this.#desk.may("webhooks:write");
    this.enable.hidden = webhook.enabled || !may;
    this.test.hidden = !webhook.enabled || !may;
    this.all.hidden = !webhook.enabled || !failed || !may;
    if (counts !== this.#counts && this.details.open) this.#load();
    this.#counts = counts;
  }

  get #path() {
    return `/v1/webhooks/${encodeURIComponent(this.#id)}`;
  }

  async #load() {
    try {
      const { items } = await this.#desk.api.get(`${this.#path}/deliveries`, { state: this.#state.value, limit: 50 });
      this.#none.hidden = items.length > 0;
      keyed(this.#deliveries, items, ({ id }) => id, (one) => this.#makeRow(one));
      // No public event tells how deliveries go.
      clearTimeout(this.#again);
      if (items.some(({ state }) => state === "pending")) this.#again = setTimeout(() => this.details.open && this.node.isConnected && this.#load(), PENDING_MS);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#notices.tell(error.words, true);
    }
  }

  #makeRow({ id, type, event, message }) {
    const state = el("span", { class: "state" });
    const attempts = el("td");
    const when = el("td");
    const run = working(() => this.#post(`deliveries/${encodeURIComponent(id)}/replay`, undefined, `${type} is delivered once more.`), (...told) => this.#notices.tell(...told));
    const again = button("Replay", run, { "aria-label": `Replay ${type}, ${message}` });
    const about = event ? el("a", { class: "block quiet", href: `#/events/${event}` }, event) : null;
    return {
      node: el("tr", { "data-delivery": id }, el("th", { scope: "row" }, type, about), el("td", {}, state), attempts, when, el("td", {}, again)),
      update: (one) => {
        say(state, deliveryWord(one.state));
        setAttribute(state, "data-state", one.state);
        keyed(attempts, one.attempts.length ? one.attempts : [{ number: 0 }], ({ number }) => number, makeAttempt);
        say(when, one.delivered_at ? clock(one.delivered_at) : one.next_attempt_at ? `next ${clock(one.next_attempt_at)}` : clock(one.created_at));
        again.hidden = one.state === "pending" || !this.#desk.may("webhooks:write");
      },
    };
  }

  async #replayAll() {
    const now = Date.now();
    const time = (ms) => new Date(ms).toISOString();
    const { deliveries } = await this.#desk.api.post(`${this.#path}/replay`, { since: time(now - DAY_MS), until: time(now + 1000) });
    this.#notices.tell(`${count(deliveries, "delivery", "deliveries")} sent once more.`);
    await this.#after();
  }

  async #enable() {
    await this.#desk.api.patch(this.#path, { enabled: true });
    this.#notices.tell("The webhook is enabled.");
    await this.#after();
  }

  async #post(name, body, said) {
    await this.#desk.api.post(`${this.#path}/${name}`, body);
    this.#notices.tell(said);
    await this.#after();
  }

  async #after() {
    await this.#desk.refresh();
    if (this.details.open) await this.#load();
  }
}

function makeAttempt() {
  const node = el("div", {});
  return {
    node,
    update({ number, status, error, duration_ms: took }) {
      say(node, number ? `${number}: ${status ?? "no answer"}${error ? `, ${error}` : ""} (${took} ms)` : "none yet");
    },
  };
}
