// The watch page: follows the event, plays it, and says honestly how far behind live it is.

import { Captions } from "./captions.js";
import { ServerClock } from "./clock.js";
import { Controls } from "./controls.js";
import { Entitlement } from "./entitlement.js";
import { EventFeed } from "./event-feed.js";
import { badgeMode, countdownText, delayText, noteFor, overlayFor, renditionText, stateWord, tokenUrl } from "./messages.js";
import { Moments, kindWord } from "./moments.js";
import { Rewind } from "./rewind.js";
import { Sounds } from "./sounds.js";
import { StatsOverlay } from "./stats.js";
import { Transport } from "./transport.js";

const find = (id) => document.getElementById(id);
const set = (id, text) => {
  const node = find(id);
  if (node.textContent !== text) node.textContent = text;
};

const eventId = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop() ?? "");
// The token travels in the fragment, which browsers send to no server and write into no log.
const tokenOf = () => decodeURIComponent(location.hash.slice(1));
let token = tokenOf();

const video = find("video");
const clock = new ServerClock();
const feed = new EventFeed(eventId);
// `?transport=hls` or `webrtc` plays over that one alone, for tests and for the curious.
const wanted = new URLSearchParams(location.search).get("transport");
const libraries = { hls: document.body.dataset.hls, worker: document.body.dataset.hlsWorker };
const playback = new Transport(video, libraries, ["hls", "webrtc"].includes(wanted) ? wanted : "auto");
const entitlement = new Entitlement(eventId, token, () => onAir() && playback.mode !== "webrtc");
const stats = new StatsOverlay(() => ({ stats: playback.stats(), latency: recent.at(-1) ?? NaN }));
new Controls(find("stage"), video, {
  play: () => playback.play(),
  goLive: () => playback.goLive(),
  keys: { l: () => playback.goLive(), j: () => rewind.step(), c: () => captions.toggle(), s: () => stats.toggle() },
});

const rewind = new Rewind(playback);
const sounds = new Sounds(() => playback.hls);
const captions = new Captions(() => playback.hls);
const moments = new Moments();
const recent = [];
let announced = "";

/** Seconds between the programme taking in the shown frame and now; the median of three readings. */
function measureLatency() {
  const shown = video.paused ? null : playback.shownAt();
  if (shown === null) {
    recent.length = 0;
    return NaN;
  }
  recent.push((clock.now() - shown) / 1000);
  if (recent.length > 3) recent.shift();
  return [...recent].sort((a, b) => a - b)[recent.length >> 1];
}

function moving() {
  return playback.moving;
}

/** Draws what covers the picture, and returns the words of it that a screen reader hears; null: nothing does. */
function renderOverlay() {
  const event = feed.event;
  const startsInMs = event?.starts_at ? Date.parse(event.starts_at) - clock.now() : 0;
  const trouble = feed.trouble === "not-found" || !event ? feed.trouble : playback.trouble;
  const { finished, rendition } = playback;
  const view = overlayFor({ event, trouble, playing: moving(), finished, startsInMs, hasToken: token !== "", rendition });
  const waiting = !view && event && !video.paused && !moving();
  const shown = view ?? (waiting ? { kind: "busy", busy: true, title: "", text: "" } : null);
  find("overlay").hidden = !shown;
  find("controls").hidden = view?.kind === "solid";
  if (!shown) return null;
  find("overlay").dataset.kind = shown.kind;
  find("spinner").hidden = !shown.busy;
  set("overlay-title", shown.title);
  set("overlay-text", shown.text);
  find("countdown").hidden = !shown.countdown;
  if (shown.countdown) set("countdown", countdownText(startsInMs));
  find("overlay-action").hidden = !shown.action;
  set("overlay-action", shown.action ?? "");
  return shown.announce ?? shown.title;
}

function renderBadge(latency) {
  const mode = badgeMode({
    state: feed.event?.state,
    started: video.videoWidth > 0,
    paused: video.paused,
    moving: moving(),
    latency,
    target: playback.target,
  });
  const badge = find("badge");
  badge.hidden = mode === "off";
  badge.dataset.mode = mode;
  set("badge-word", { live: "LIVE", behind: "GO TO LIVE", waiting: "WAITING", paused: "PAUSED" }[mode] ?? "");
  set("badge-delay", Number.isFinite(latency) ? `${delayText(latency)} behind` : "");
  const how = clock.measured
    ? `Measured against the server's clock, within ${Math.ceil(clock.uncertainty)} ms`
    : "Measured against this device's clock";
  badge.title = `${how}. Press to go to live.`;
  badge.setAttribute("aria-label", Number.isFinite(latency) ? `Live, ${delayText(latency)} behind. Go to live` : "Go to live");
}

function renderFacts(latency) {
  const quality = video.getVideoPlaybackQuality?.();
  find("facts").hidden = !video.videoWidth;
  set("fact-latency", Number.isFinite(latency) ? delayText(latency) : "–");
  set("fact-buffer", playback.mode === "webrtc" ? "none" : `${playback.bufferSeconds.toFixed(1)} s`);
  set("fact-picture", video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : "–");
  set("fact-dropped", quality ? `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}` : "–");
}

function render() {
  const latency = measureLatency();
  const event = feed.event;
  const state = event?.state ?? "loading";
  set("title", event?.name || "Livepath");
  document.title = event?.name ? `${event.name} · Livepath` : "Livepath";
  find("state").dataset.state = state;
  set("state", stateWord(state));
  set("note", noteFor({ event, playing: moving(), muted: video.muted, rendition: playback.rendition }));
  const covering = renderOverlay();
  renderBadge(latency);
  renderFacts(latency);
  sounds.render();
  captions.render();
  rewind.render(event?.dvr_window_s > 0 && (state === "live" || state === "reconnecting"));
  find("low-latency").hidden = !playback.canTryRealtime || find("facts").hidden;
  // A screen reader hears changes of state, not every second of latency.
  const news = covering ?? (renditionText(playback.rendition) || stateWord(state));
  if (news && news !== announced) {
    announced = news;
    set("announce", news);
  }
}

/** What happens in the programme, when the picture on this screen is there. */
function renderMoment() {
  const moment = moments.shown(playback.shownAt() ?? clock.now());
  find("moment").hidden = !moment;
  if (!moment) return;
  set("moment-kind", kindWord(moment.kind));
  set("moment-title", moment.title ?? "");
}

function onAir() {
  return ["live", "reconnecting"].includes(feed.event?.state);
}

/** Bring playback in line with the event's state. */
function follow() {
  const event = feed.event;
  // Whoever aims for "low" is better served by LL-HLS alone.
  const whep = event?.latency !== "low" && event?.whep_url;
  if (onAir()) playback.load({ whep: whep && tokenUrl(whep, token), hls: tokenUrl(event.hls_captions_url ?? event.hls_url, token) });
  // An ended programme plays to its last frame; nothing new is opened for it.
  if (event?.state === "cancelled") playback.stop();
  render();
}

find("overlay-action").addEventListener("click", () => {
  if (feed.event?.state === "archived") {
    location.href = `/vod/${encodeURIComponent(eventId)}${location.hash}`;
    return;
  }
  if (playback.trouble === "blocked") playback.play();
  else playback.again();
});
find("low-latency").addEventListener("click", () => playback.tryRealtime());
feed.addEventListener("change", follow);
entitlement.addEventListener("change", () => playback.allow(entitlement.now));
playback.addEventListener("change", () => {
  if (playback.trouble || playback.finished) feed.refresh();
  if (playback.trouble === "denied") entitlement.ask();
  render();
});
playback.addEventListener("marker", ({ detail }) => moments.receive(detail));
for (const name of ["playing", "waiting", "pause", "volumechange"]) video.addEventListener(name, render);
// A picture that stops is often news of the event: the broadcaster dropped out, or it is over.
video.addEventListener("waiting", () => feed.refresh());
// A page around this one may hand over another token.
window.addEventListener("hashchange", () => {
  entitlement.token = token = tokenOf();
  follow();
});
window.addEventListener("online", () => playback.trouble === "offline" && playback.again());
// Best effort: the server notices a viewer that is gone by itself, some seconds later.
window.addEventListener("pagehide", () => playback.stop());
window.addEventListener("pageshow", (shown) => shown.persisted && follow());
setInterval(render, 1000);
setInterval(renderMoment, 200);

// For tests and for the curious: what plays, and how.
window.livepath = { video, playback, feed, clock, entitlement };

feed.run();
entitlement.run();
clock.run();
