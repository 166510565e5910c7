// The publish page: choose a camera or a screen, see it, send it by WHIP, and see how it goes.

import { captureAllowed, close, devices, open, screenPossible } from "./capture.js";
import { LevelMeter } from "./level.js";
import { stateWord } from "./messages.js";
import { QUALITIES, captureTrouble, healthRows, publishWord, warningsFor } from "./publish-messages.js";
import { Publisher } from "./publisher.js";

const POLL_MS = 5000;
const METER_MS = 100;

const find = (id) => document.getElementById(id);
const set = (id, text) => {
  const node = find(id);
  if (node.textContent !== text) node.textContent = text;
};

const eventId = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop() ?? "");
// The token travels in the fragment, which browsers send to no server and write into no log.
const token = decodeURIComponent(location.hash.slice(1));

const preview = find("preview");
const meter = new LevelMeter();
const publisher = new Publisher(token);
let stream = null;
let info = null;
let trouble = token ? null : "This link has no key. Open the link that the organiser sent you, whole.";
let opening = 0;
let heardAt = performance.now();
let wakeLock = null;

const kind = () => document.querySelector("input[name=kind]:checked").value;
const quality = () => QUALITIES[find("quality").value];

/** Ask the API where to publish and what the server thinks of the stream. */
async function ask() {
  if (!token) return;
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const response = await fetch(`/v1/publish/${encodeURIComponent(eventId)}`, { headers, cache: "no-store" });
    if (response.ok) info = await response.json();
    else if (response.status === 401) {
      info = null;
      trouble = "This link is not valid any more. Ask the organiser for the current one.";
    }
  } catch {
    // What is being sent goes on; only news is missing.
  }
  render();
}

/** Open the chosen devices and show them; a running publication goes on with them. */
async function show() {
  opening += 1;
  const mine = opening;
  if (!captureAllowed()) return fail("insecure");
  const wanted = { kind: kind(), camera: find("camera").value, microphone: find("microphone").value, sound: find("sound").checked, quality: quality() };
  let opened;
  try {
    opened = await open(wanted);
  } catch (error) {
    return mine === opening ? fail(error.name) : undefined;
  }
  if (mine !== opening) return close(opened);
  const before = stream;
  stream = opened;
  trouble = null;
  preview.srcObject = stream;
  preview.dataset.kind = wanted.kind;
  meter.listen(stream);
  heardAt = performance.now();
  stream.getVideoTracks()[0]?.addEventListener("ended", () => stream === opened && hide("The picture's source was closed."));
  if (publisher.state !== "idle") await publisher.replace(stream);
  close(before);
  await listDevices();
  return render();
}

function fail(name) {
  trouble = captureTrouble(name, kind());
  render();
}

function hide(why) {
  publisher.stop();
  close(stream);
  stream = preview.srcObject = null;
  meter.listen(null);
  trouble = why;
  render();
}

async function listDevices() {
  const { cameras, microphones } = await devices();
  fill(find("camera"), cameras, "Camera", stream?.getVideoTracks()[0]?.getSettings().deviceId);
  fill(find("microphone"), microphones, "Microphone", stream?.getAudioTracks()[0]?.getSettings().deviceId);
}

function fill(select, found, word, chosen) {
  const before = select.value || chosen;
  const options = found.map((device, place) => new Option(device.label || `${word} ${place + 1}`, device.deviceId));
  select.replaceChildren(...(options.length ? options : [new Option(`Any ${word.toLowerCase()}`, "")]));
  if (found.some((device) => device.deviceId === before)) select.value = before;
}

async function startOrStop() {
  if (publisher.state !== "idle") return publisher.stop();
  if (!stream) await show();
  if (!stream) return undefined;
  if (!info) await ask();
  if (!info) {
    trouble ??= "The server cannot be reached. Check the connection.";
    return render();
  }
  trouble = null;
  return publisher.start(info.whip_url, stream, quality(), kind());
}

/** A phone that locks its screen stops its camera. */
async function stayAwake(wanted) {
  if (wanted && !wakeLock) wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
  else if (!wanted) {
    wakeLock?.release();
    wakeLock = null;
  }
}

function rows(id, values) {
  const made = values.map(([label, text]) => {
    const row = document.createElement("div");
    const [term, value] = ["dt", "dd"].map((name) => document.createElement(name));
    term.textContent = label;
    value.textContent = text;
    row.append(term, value);
    return row;
  });
  find(id).replaceChildren(...made);
  find(id).hidden = !made.length;
}

function items(id, texts) {
  const list = find(id);
  if (list.dataset.shown === texts.join("\n")) return; // a screen reader would hear it again
  list.dataset.shown = texts.join("\n");
  list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  list.hidden = !texts.length;
}

function render() {
  const busy = publisher.state !== "idle";
  const state = busy ? publisher.state : stream ? "preview" : "idle";
  set("title", info?.name || "Publish");
  document.title = info?.name ? `Publish · ${info.name}` : "Publish · Livepath";
  find("state").dataset.state = state;
  set("state", publishWord(state));
  set("event-state", info ? `Event: ${stateWord(info.state)}` : "");
  set("toggle", busy ? "Stop" : "Start publishing");
  find("toggle").dataset.busy = busy;
  find("toggle").disabled = !token;
  set("show", stream ? "Open again" : "Show the picture");
  const said = trouble ?? publisher.trouble ?? "";
  set("trouble", said);
  find("trouble").hidden = !said;
  find("empty").hidden = Boolean(stream);
  // Another kind of picture or another quality needs another session.
  for (const input of document.querySelectorAll("input[name=kind], #quality, #sound")) input.disabled = busy;
  find("screen").disabled ||= !screenPossible();
  find("cameras").hidden = kind() === "screen";
  renderHealth(busy);
}

function renderHealth(busy) {
  const stats = busy ? publisher.measured : null;
  rows("health", stats ? healthRows(stats) : []);
  const silentS = (performance.now() - heardAt) / 1000;
  const own = busy ? warningsFor({ stats, quality: quality(), level: meter.read(), silentS }) : [];
  const theirs = (info?.recent ?? []).filter((notice) => notice.type === "ingest.warning" && Date.now() - Date.parse(notice.at) < 120_000);
  items("warnings", [...new Set([...own, ...theirs.map((notice) => notice.message)])]);
}

function renderLevel() {
  const level = meter.read();
  if (level !== null && level > -60) heardAt = performance.now();
  find("level").value = level === null ? -60 : Math.max(-60, level);
}

for (const input of document.querySelectorAll("input[name=kind], #camera, #microphone, #sound, #quality")) {
  input.addEventListener("change", () => (stream || kind() === "screen" ? show() : render()));
}
find("quality").append(...Object.entries(QUALITIES).map(([name, { bitrate }]) => new Option(`${name}, up to ${bitrate / 1e6} Mbit/s`, name)));
find("quality").value = "720p";
find("show").addEventListener("click", show);
find("toggle").addEventListener("click", startOrStop);
publisher.addEventListener("change", () => {
  stayAwake(publisher.state !== "idle");
  render();
});
navigator.mediaDevices?.addEventListener?.("devicechange", listDevices);
window.addEventListener("hashchange", () => location.reload());
window.addEventListener("pagehide", () => publisher.stop());
window.addEventListener("beforeunload", (event) => publisher.state !== "idle" && event.preventDefault());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && stayAwake(publisher.state !== "idle"));
setInterval(renderLevel, METER_MS);
setInterval(async () => {
  await publisher.measure();
  render();
}, 1000);
setInterval(ask, POLL_MS);

// For tests and for the curious: what is sent, and how.
window.livepath = { publisher, preview, meter };

if (!captureAllowed()) fail("insecure");
else listDevices();
ask();
