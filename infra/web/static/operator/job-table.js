// Jobs with their progress, what they cost, and another round for those that gave up.

import { Refused } from "./api.js";
import { button, el, keyed, say, setAttribute, working } from "./dom.js";
import { clock, costRows, count, jobWord, span } from "./words.js";

const COLUMNS = ["Function", "State", "Progress and cost", "When", "Actions"];

export class JobTable {
  #desk;
  #notices;
  #changed;
  #body = el("tbody");
  #table;
  #none = el("p", { class: "quiet" }, "None.");
  #left = el("p", { class: "quiet" });

  /** `changed`: reads the jobs again. */
  constructor(desk, notices, caption, changed) {
    this.#desk = desk;
    this.#notices = notices;
    this.#changed = changed;
    this.#table = el("table", { class: "jobs", hidden: true }, el("caption", { class: "visually-hidden" }, caption), el("thead", {}, el("tr", {}, ...COLUMNS.map((word) => el("th", { scope: "col" }, word)))), this.#body);
    this.node = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, this.#table, this.#none, this.#left);
  }

  refuse(words) {
    this.#table.hidden = true;
    this.#none.hidden = false;
    say(this.#none, words);
  }

  /** What was done over single segments, every few seconds of an event, is only counted. */
  updateWithoutSegments(jobs, most = Infinity) {
    const wanted = jobs.filter(({ state, input_key: input }) => state !== "succeeded" || !input.endsWith(".m4s"));
    const left = jobs.length - wanted.length;
    this.update(wanted.slice(0, most));
    say(this.#left, left ? `${count(left, "job")} over single segments are done as well.` : "");
  }

  update(jobs) {
    this.#table.hidden = !jobs.length;
    this.#none.hidden = jobs.length > 0;
    keyed(this.#body, jobs, ({ id }) => id, (job) => this.#makeRow(job));
  }

  #makeRow({ id, function: name, event, input_key: input }) {
    const state = el("span", { class: "state" });
    const error = el("p", { class: "error" });
    const bar = el("progress", { max: "1", "aria-label": `Progress of ${name}` });
    const words = el("span", {});
    const when = el("td");
    const run = working(() => this.#retry(id, name), (...told) => this.#notices.tell(...told));
    const again = button("Replay", run, { "aria-label": `Replay ${name} of ${event}` });
    const log = el("div", { class: "attempts" });
    const details = el("details", { on: { toggle: () => details.open && this.#showAttempts(id, log) } }, el("summary", { "aria-label": `Attempts of ${name} of ${event}` }, "Attempts"), log);
    const node = el("tr", { "data-job": id },
      el("th", { scope: "row" }, name, el("a", { class: "block quiet", href: `#/events/${event}` }, event), el("span", { class: "block quiet key" }, input)),
      el("td", {}, state, error), el("td", {}, bar, words), when, el("td", {}, again, details));
    return {
      node,
      update: (job) => {
        say(state, jobWord(job.state));
        setAttribute(state, "data-state", job.state);
        say(error, job.error ?? "");
        error.hidden = !job.error || job.state === "succeeded";
        const running = job.state === "running" || job.state === "leased";
        bar.hidden = !running;
        bar.value = job.progress;
        say(words, running ? `${Math.round(job.progress * 100)} %` : costRows(job.cost).map((row) => row.join(" ")).join(", "));
        say(when, whenOf(job));
        again.hidden = job.state !== "dead" || !this.#desk.may("jobs:write");
      },
    };
  }

  async #retry(id, name) {
    await this.#desk.api.post(`/v1/jobs/${encodeURIComponent(id)}/retry`);
    this.#notices.tell(`${name} gets another round of attempts.`);
    await this.#changed();
    this.#desk.refreshSoon();
  }

  async #showAttempts(id, log) {
    try {
      const { attempts } = await this.#desk.api.get(`/v1/jobs/${encodeURIComponent(id)}`);
      log.replaceChildren(...(attempts.length ? attempts.map(attemptNode) : [el("p", { class: "quiet" }, "It was not begun yet.")]));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      log.replaceChildren(el("p", { class: "error" }, error.words));
    }
  }
}

function whenOf(job) {
  const tries = `${count(job.attempt_count, "attempt")} of ${job.max_attempts}`;
  if (job.finished_at) return `${clock(job.finished_at)}, ${tries}`;
  if (job.next_attempt_at && job.state === "retrying") return `tries again ${clock(job.next_attempt_at)}, ${tries}`;
  return `for ${span(Date.now() - Date.parse(job.created_at))}, ${tries}`;
}

function attemptNode({ number, worker, started_at: from, ended_at: to, outcome, error, log }) {
  const took = to ? `, ${span(Date.parse(to) - Date.parse(from))}` : "";
  return el("div", { class: "attempt" },
    el("p", {}, el("strong", {}, `Attempt ${number}: ${outcome ?? "runs"}`), ` on ${worker}, ${clock(from)}${took}`),
    error ? el("p", { class: "error" }, error) : null,
    log ? el("pre", { tabindex: "0" }, log) : null);
}
