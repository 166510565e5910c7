// The cold path: dead letters first, then what is at work, then what is done and what it cost.

import { Refused } from "./api.js";
import { el, say, section } from "./dom.js";
import { JobTable } from "./job-table.js";
import { count, jobWord } from "./words.js";

const DONE = 30;

export class JobsView {
  title = "Jobs";
  #desk;
  #closed = false;

  constructor(desk, notices) {
    this.#desk = desk;
    const changed = () => desk.refresh();
    this.refusal = el("p", { class: "trouble", hidden: true });
    this.counts = el("p", { class: "quiet" });
    this.dead = new JobTable(desk, notices, "Jobs that gave up", changed);
    this.active = new JobTable(desk, notices, "Jobs at work", changed);
    this.done = new JobTable(desk, notices, "Jobs that are done", changed);
    this.sections = [section("Dead letters", this.dead.node), section("At work", this.active.node), section("Done lately", this.done.node)];
    this.node = el("div", {}, el("h1", { tabindex: "-1" }, this.title), this.refusal, this.counts, ...this.sections);
  }

  async show() {
    this.update();
    await this.#loadDone();
  }

  hear(message) {
    if (message.type === "job.succeeded") this.#loadDone();
  }

  close() {
    this.#closed = true;
  }

  update() {
    const { jobs } = this.#desk.overview;
    this.refusal.hidden = jobs !== null;
    for (const node of this.sections) node.hidden = jobs === null;
    if (jobs === null) return say(this.refusal, "This API key may not see jobs: it lacks the scope jobs:read. Sign in with another one.");
    const told = jobs.counts.map(({ state, count: number }) => `${number.toLocaleString("en")} ${jobWord(state).toLowerCase()}`);
    const hidden = jobs.counts.reduce((sum, one) => sum + one.count, 0) - jobs.dead.length - jobs.active.length;
    if (hidden > 0) told.push(`${count(hidden, "job")} not shown`);
    say(this.counts, told.join(" · ") || "Everything is done.");
    this.dead.update(jobs.dead);
    this.active.update(jobs.active);
    return undefined;
  }

  async #loadDone() {
    if (this.#desk.overview.jobs === null) return;
    try {
      const { items } = await this.#desk.api.get("/v1/jobs", { state: "succeeded", limit: 200 });
      if (!this.#closed) this.done.updateWithoutSegments(items, DONE);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.done.refuse(error.words);
    }
  }
}
