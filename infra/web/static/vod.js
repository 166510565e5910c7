// The VOD page: plays a recording, or one clip of it, and shows what belongs to its places.

import { ClipMaker } from "./clip-maker.js";
import { Controls } from "./controls.js";
import { tokenUrl } from "./messages.js";
import { kindWord } from "./moments.js";
import { Replay, entriesOf, shownOf } from "./replay.js";
import { Scrub } from "./scrub.js";
import { cellsOf } from "./storyboard.js";
import { chapterAt, chaptersOf, firstVariant, segmentsOf } from "./timeline.js";
import { downloadNote, downloadText, languageName, placeText, statusWord, vodOverlay } from "./vod-messages.js";
import { VodFeed } from "./vod-feed.js";
import { VodPlayer } from "./vod-player.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const MOST_LINES = 200;

const find = (id) => document.getElementById(id);
const set = (id, text) => {
  const node = find(id);
  if (node.textContent !== text) node.textContent = text;
};
const element = (name, props = {}, ...children) => {
  const made = Object.assign(document.createElement(name), props);
  made.append(...children);
  return made;
};

const eventId = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop() ?? "");
// The token travels in the fragment, which browsers send to no server and write into no log.
const token = decodeURIComponent(location.hash.slice(1));
/** `?clip=` plays that clip alone. */
const clipId = new URLSearchParams(location.search).get("clip");

const video = find("video");
const feed = new VodFeed(eventId, token);
const player = new VodPlayer(video, { hls: document.body.dataset.hls, worker: document.body.dataset.hlsWorker });
const scrub = new Scrub(video, (seconds) => player.seek(seconds));
const clips = new ClipMaker(video, feed, token);
let replay = new Replay([], []);
let segments = [];
let chapters = [];
let clip = null;
let clipError = "";
const loaded = new Map();
let announced = "";
let lastCaption = 0;

const by = (seconds) => () => player.seek(video.currentTime + seconds);
const tenths = Object.fromEntries([..."0123456789"].map((digit) => [digit, () => player.seek((scrub.duration * digit) / 10)]));
new Controls(find("stage"), video, {
  play: () => player.play(),
  keys: {
    ...tenths,
    arrowleft: by(-5),
    arrowright: by(5),
    j: by(-10),
    l: by(10),
    c: () => toggleCaptions(),
    "<": () => faster(-1),
    ">": () => faster(1),
    i: () => clips.mark("from"),
    o: () => clips.mark("to"),
  },
});

function faster(steps) {
  const at = SPEEDS.indexOf(video.playbackRate);
  video.playbackRate = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at + steps))];
}

function toggleCaptions() {
  if (!player.captions.length) return;
  const shown = player.caption;
  if (shown >= 0) lastCaption = shown;
  player.caption = shown >= 0 ? -1 : Math.min(lastCaption, player.captions.length - 1);
  renderChoices();
}

/** What is fetched once for each address; a failure is tried again when the recording is next asked for. */
async function once(key, url, take) {
  if (!url || loaded.get(key) === url) return;
  loaded.set(key, url);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    await take(response);
  } catch {
    loaded.delete(key);
  }
}

/** Bring the page in line with what there is of the recording. */
async function follow() {
  const { vod } = feed;
  if (clipId) await followClip();
  else if (vod?.status === "ready") {
    // Captions that come while somebody watches wait for the next visit.
    if (!player.url || (video.paused && video.currentTime === 0)) player.load(vod.hls_url);
    if (vod.poster_url && video.poster !== vod.poster_url) video.poster = vod.poster_url;
    await Promise.all([
      once("storyboard", vod.storyboard_url, async (response) => {
        scrub.cells = cellsOf(await response.text(), response.url);
      }),
      once("timeline", vod.hls_url, readTimeline),
    ]);
    await once("replay", segments.length ? vod.replay_url : null, async (response) => {
      fillReplay((await response.json()).entries);
    });
  }
  render();
}

async function readTimeline(response) {
  const text = await response.text();
  const variant = firstVariant(text);
  const media = variant ? await (await fetch(new URL(variant, response.url))).text() : text;
  segments = segmentsOf(media);
  const length = segments.reduce((sum, { duration }) => sum + duration, 0);
  chapters = chaptersOf(feed.vod.markers, segments, length);
  fillReplay([]);
  fillChapters();
}

async function followClip() {
  if (clip || clipError) return;
  try {
    const found = await feed.clip(clipId);
    if (!found.asset?.viewer_url) {
      clipError = found.state === "dead" ? "It could not be made." : "It is not there yet. Reload this page in a moment.";
      return;
    }
    clip = found;
    player.load(tokenUrl(clip.asset.viewer_url, token));
  } catch (error) {
    clipError = error.message;
  }
}

/** The stretch of an instant clip's playlist that is the clip. */
function clipEnd() {
  const { offset_s: offset } = clip?.asset.detail ?? {};
  return Number.isFinite(offset) ? offset + clip.asset.duration_ms / 1000 : Infinity;
}

function fillChapters() {
  const made = chapters.map((chapter) => {
    const at = element("span", { className: "at", textContent: placeText(chapter.start) });
    const button = element("button", { type: "button" }, at, element("span", { textContent: chapter.title }));
    button.addEventListener("click", () => {
      player.seek(chapter.start);
      player.play();
    });
    return element("li", {}, button);
  });
  find("chapters").replaceChildren(...made);
  find("chapters-section").hidden = !made.length;
  scrub.chapters = chapters;
}

function fillReplay(entries) {
  replay = new Replay([...entriesOf(feed.vod.markers), ...entries], segments);
  find("replay-section").hidden = !replay.entries.length;
  showReplay(replay.seek(video.currentTime), true);
}

/** Lines of the list; every entry is also an event, for pages that do more with it. */
function showReplay(entries, anew = false) {
  const list = find("replay");
  if (anew) list.replaceChildren();
  for (const entry of entries) {
    if (!anew) player.dispatchEvent(new CustomEvent("replay", { detail: entry }));
    const { who, text } = shownOf(entry);
    const words = element("span", {}, element("span", { className: "who", textContent: who || kindWord(entry.kind) }), text);
    list.append(element("li", {}, element("span", { className: "at", textContent: placeText(entry.at) }), words));
  }
  while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
  if (entries.length) list.scrollTop = list.scrollHeight;
}

function renderOverlay() {
  const trouble = ["not-found", "denied"].includes(feed.trouble) || !feed.vod ? feed.trouble : player.trouble;
  const whole = vodOverlay({ vod: feed.vod, trouble, hasToken: token !== "" });
  const view = clipError ? { title: "There is no such clip", text: clipError } : clip && !player.trouble ? null : whole;
  const waiting = !view && !video.paused && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  const shown = view ?? (waiting ? { busy: true, title: "", text: "" } : null);
  find("overlay").hidden = !shown;
  find("overlay").dataset.kind = view ? "solid" : "busy";
  const begun = !video.paused || video.played.length > 0 || player.moved || !find("clip").hidden;
  find("start").hidden = Boolean(view) || begun;
  // Before it begins there is one thing to do, and on a phone no room for more.
  find("controls").hidden = Boolean(view) || !begun;
  set("overlay-title", shown?.title ?? "");
  set("overlay-text", shown?.text ?? "");
  find("spinner").hidden = !shown?.busy;
  find("overlay-action").hidden = !shown?.action;
  set("overlay-action", shown?.action ?? "");
}

function renderDownloads() {
  const files = clipId ? [] : (feed.vod?.downloads ?? []);
  const shown = JSON.stringify(files);
  if (find("downloads").dataset.shown === shown) return;
  find("downloads").dataset.shown = shown;
  const links = files.map((file) => element("a", { className: "quiet-action", href: file.url, textContent: downloadText(file, files.length) }));
  find("downloads").replaceChildren(...links);
}

function choose(id, options, value) {
  const select = find(id);
  const listed = JSON.stringify(options);
  select.hidden = options.length < 2;
  if (select.dataset.listed !== listed) {
    select.dataset.listed = listed;
    select.replaceChildren(...options.map(([label, option]) => new Option(label, option)));
  }
  select.value = String(value);
}

function renderChoices() {
  const captions = player.captions.map(({ label, language }, n) => [`CC ${label || languageName(language)}`, n]);
  choose("captions", [["CC off", -1], ...captions], player.caption);
  const qualities = player.qualities.map(({ label, value }) => [label, value]);
  choose("quality", qualities.length ? [["Auto", -1], ...qualities] : [], player.quality);
  find("speed").value = String(video.playbackRate);
}

function renderPlace() {
  const { currentTime } = video;
  set("place", placeText(currentTime));
  set("length", placeText(scrub.duration));
  const current = chapterAt(chapters, currentTime);
  [...find("chapters").children].forEach((item, n) => {
    item.firstElementChild.setAttribute("aria-current", String(chapters[n] === current));
  });
}

function render() {
  const { vod } = feed;
  const name = clip?.title || vod?.name;
  set("title", name || "Recording");
  document.title = name ? `${name} · Livepath` : "Recording · Livepath";
  find("state").dataset.state = vod?.status === "ready" ? "archived" : (vod?.status ?? "loading");
  set("state", clip ? "Clip" : statusWord(vod?.status));
  set("note", clipId ? "" : downloadNote(vod));
  find("whole").hidden = !clipId;
  find("whole").href = `${location.pathname}${location.hash}`;
  find("transcript").hidden = !vod?.transcript_url || Boolean(clipId);
  find("transcript").href = vod?.transcript_url ?? "";
  find("clip-toggle").hidden = !(vod?.may_clip && vod.status === "ready" && !clipId);
  renderOverlay();
  renderDownloads();
  renderChoices();
  renderPlace();
  const news = find("overlay").hidden ? find("state").textContent : find("overlay-title").textContent;
  if (news && news !== announced) {
    announced = news;
    set("announce", news);
  }
}

find("start").addEventListener("click", () => player.play());
find("overlay-action").addEventListener("click", () => {
  if (feed.vod?.status === "ready") player.again();
  else location.href = `/watch/${encodeURIComponent(eventId)}${location.hash}`;
});
find("speed").addEventListener("change", () => {
  video.playbackRate = Number(find("speed").value);
});
find("quality").addEventListener("change", () => {
  player.quality = Number(find("quality").value);
});
find("captions").addEventListener("change", () => {
  player.caption = Number(find("captions").value);
});
video.addEventListener("timeupdate", () => {
  if (video.currentTime >= clipEnd() && !video.paused) {
    video.pause();
    player.seek(clipEnd());
  }
  showReplay(video.seeking ? [] : replay.pass(video.currentTime));
  renderPlace();
});
video.addEventListener("seeking", () => showReplay(replay.seek(video.currentTime), true));
for (const name of ["playing", "waiting", "pause", "seeked", "loadedmetadata", "ratechange"]) video.addEventListener(name, render);
player.addEventListener("change", render);
feed.addEventListener("change", follow);
find("clip-toggle").addEventListener("click", render);
window.addEventListener("hashchange", () => location.reload());

// For tests and for the curious: what plays, and how.
window.livepath = { video, player, feed, scrub, clips };

feed.run();
