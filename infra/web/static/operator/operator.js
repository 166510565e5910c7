// The operator page: signs in, follows the project, and shows one of its views.

import { Api, Refused } from "./api.js";
import { Desk } from "./desk.js";
import { say, setAttribute } from "./dom.js";
import { EventView } from "./event-view.js";
import { EventsView } from "./events-view.js";
import { attention } from "./health.js";
import { JobsView } from "./jobs-view.js";
import { Notices } from "./notices.js";
import { WebhooksView } from "./webhooks-view.js";
import { stateWord } from "./words.js";

const KEPT = "livepath.operator"; // of this tab, and gone with it
const TICK_MS = 1000;
const LINKS = { live: "Up to date", connecting: "Connecting", lost: "Connection lost: trying again", polling: "Looks every few seconds" };

const find = (id) => document.getElementById(id);
const notices = new Notices(find("notices"), find("spoken"));
let desk = null;
let view = null;
let before = null;

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  } catch {
    return null;
  }
}

async function signIn(key, project) {
  const opening = new Desk(new Api(key, project));
  opening.addEventListener("overview", () => desk === opening && changed());
  opening.addEventListener("reading", () => desk === opening && view?.update());
  opening.addEventListener("link", () => desk === opening && showLink());
  opening.addEventListener("message", ({ detail }) => desk === opening && view?.hear?.(detail));
  desk = opening;
  try {
    await opening.open();
  } catch (error) {
    opening.close();
    desk = null;
    if (!(error instanceof Refused)) throw error;
    showSignIn(refusalWords(error), error.status !== 0);
    return;
  }
  sessionStorage.setItem(KEPT, JSON.stringify({ key, project }));
  find("sign-in").hidden = true;
  find("key").value = "";
  for (const id of ["sections", "who"]) find(id).hidden = false;
  route();
}

function refusalWords(error) {
  if (error.status === 401) return `This key does not open anything here. ${error.words}`;
  if (error.type.endsWith(":missing-scope")) return `This key is valid and may not look after events. ${error.words}`;
  return error.words;
}

/** `forget`: the key that was kept is of no use. */
function showSignIn(trouble = "", forget = true) {
  if (forget) sessionStorage.removeItem(KEPT);
  view?.close();
  view = before = null;
  find("view").replaceChildren();
  for (const id of ["sections", "who"]) find(id).hidden = true;
  find("sign-in").hidden = false;
  say(find("sign-in-trouble"), trouble);
  find("sign-in-trouble").hidden = !trouble;
  setAttribute(find("key"), "aria-invalid", trouble ? "true" : null);
  document.title = "Operator · Livepath";
  find("key").focus();
}

function signOut() {
  desk?.close();
  desk = null;
  showSignIn();
}

function viewOf(hash) {
  const [, name, id] = /^#\/(\w+)(?:\/([\w-]+))?/.exec(hash) ?? [];
  if (name === "events" && id) return new EventView(desk, notices, id);
  if (name === "jobs") return new JobsView(desk, notices);
  if (name === "webhooks") return new WebhooksView(desk, notices);
  return new EventsView(desk);
}

function route() {
  if (!desk?.overview) return;
  const first = view === null;
  view?.close();
  view = viewOf(location.hash);
  find("view").replaceChildren(view.node);
  for (const link of find("sections").querySelectorAll("a")) {
    const here = location.hash.startsWith(link.getAttribute("href")) || (link.hash === "#/events" && !/^#\/(jobs|webhooks)/.test(location.hash));
    setAttribute(link, "aria-current", here ? "page" : null);
  }
  const showing = view;
  Promise.resolve(view.show()).then(() => showing === view && showTitle());
  changed();
  window.scrollTo(0, 0);
  if (!first) view.node.querySelector("h1").focus();
}

function changed() {
  const { overview } = desk;
  say(find("project"), overview.project_name || overview.project);
  if (view) {
    view.update();
    showTitle();
  }
  const wanted = new Map(attention(overview, Date.now()).map(({ key, title, words }) => [key, `${title}: ${words}`]));
  const states = new Map(overview.events.items.map(({ id, name, state }) => [id, { name, state }]));
  if (before) speakChanges(wanted, states);
  before = { wanted, states };
}

/** Only what an operator would turn their head for. */
function speakChanges(wanted, states) {
  for (const [id, { name, state }] of states) {
    const was = before.states.get(id)?.state;
    if (was && was !== state) notices.speak(`${name}: ${stateWord(state)}.`);
  }
  for (const [key, text] of wanted) if (!before.wanted.has(key)) notices.speak(text);
}

function showTitle() {
  const wanted = desk ? attention(desk.overview, Date.now()).length : 0;
  document.title = `${wanted ? `(${wanted}) ` : ""}${view.title} · Livepath`;
}

function showLink() {
  if (desk.trouble && [401, 403].includes(desk.trouble.status)) {
    const words = refusalWords(desk.trouble);
    desk.close();
    desk = null;
    return showSignIn(words);
  }
  setAttribute(find("link"), "data-link", desk.link);
  const readings = desk.overview && !desk.overview.readings ? " · no figures: the bus is away" : "";
  return say(find("link"), LINKS[desk.link] + readings);
}

find("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = find("key").value.trim();
  if (key) signIn(key, find("key-project").value.trim());
});
find("sign-out").addEventListener("click", signOut);
find("skip").addEventListener("click", (event) => {
  event.preventDefault();
  find("content").focus();
});
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => !document.hidden && desk?.overview && desk.refreshSoon());
setInterval(() => !document.hidden && desk?.overview && view?.update(), TICK_MS);

const kept = stored();
if (kept) signIn(kept.key, kept.project);
else showSignIn();
