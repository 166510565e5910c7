// What the publish page says, as pure functions of what is known. No DOM, no clock, no network.

import { rateText } from "./messages.js";

/** The choices of quality, best last. `bitrate` in bits per second. */
export const QUALITIES = {
  "360p": { width: 640, height: 360, fps: 30, bitrate: 900_000 },
  "540p": { width: 960, height: 540, fps: 30, bitrate: 1_600_000 },
  "720p": { width: 1280, height: 720, fps: 30, bitrate: 2_800_000 },
  "1080p": { width: 1920, height: 1080, fps: 30, bitrate: 5_000_000 },
};

/** Why a camera, microphone or screen could not be opened. `name` is the browser's error name. */
export function captureTrouble(name, kind) {
  const thing = kind === "screen" ? "screen" : "camera or microphone";
  const words = {
    insecure: "Browsers give a camera only to pages over HTTPS, or on this machine itself. Open the link with https://.",
    NotAllowedError: kind === "screen"
      ? "No screen was chosen. Press the button again and pick one."
      : "The browser was told not to give this page the camera and microphone. Allow them in its address bar, then try again.",
    NotFoundError: `No ${thing} was found. Connect one, then try again.`,
    NotReadableError: `The ${thing} is in use by another program. Close that, then try again.`,
    OverconstrainedError: "The chosen device is gone. Choose another one.",
    AbortError: `The ${thing} stopped by itself. Try again.`,
  };
  return words[name] ?? `The ${thing} could not be opened (${name}).`;
}

/** What a refused or broken WHIP session means to the person who publishes. */
export function publishTrouble({ kind, status, detail }) {
  if (kind === "unreachable") return "The server cannot be reached. Check the connection.";
  if (kind === "no-path") return "The server answers, but no media gets through. A firewall may block UDP and TCP to it.";
  if (status === 401 || status === 404) return "This link is not valid any more. Ask the organiser for the current one.";
  if (status === 403) return "The event is over.";
  if (status === 409) return "Somebody else is publishing to this event. It has to stop first.";
  if (status === 429 || status === 503) return "The server is full at the moment.";
  if (status === 406 || status === 415 || status === 422) return `The server cannot take what this browser sends${detail ? ` (${detail})` : ""}.`;
  return detail ? `The server refused: ${detail}.` : "The server refused.";
}

/** Whether trying again by itself can help. */
export function worthRetrying({ kind, status }) {
  return kind !== "refused" || status === 429 || status >= 500;
}

/** The word in the state pill. */
export function publishWord(state) {
  const words = {
    idle: "Not publishing",
    preview: "Ready",
    connecting: "Connecting",
    publishing: "Publishing",
    reconnecting: "Reconnecting",
  };
  return words[state] ?? "Loading";
}

/** Rows of the health panel, [label, text]; what is not known is left out. */
export function healthRows(stats) {
  const known = Number.isFinite;
  const limits = { none: "nothing", cpu: "this device's processor", bandwidth: "the connection", other: "the browser" };
  const rows = [
    ["Sending", known(stats.bitrate) && rateText(stats.bitrate)],
    ["Picture", stats.width && `${stats.width} × ${stats.height}${known(stats.fps) ? `, ${Math.round(stats.fps)} fps` : ""}`],
    ["Round trip", known(stats.roundTripS) && `${Math.round(stats.roundTripS * 1000)} ms`],
    ["Loss", known(stats.lostShare) && `${(stats.lostShare * 100).toFixed(1)} %`],
    ["Held back by", limits[stats.limitedBy]],
    ["Path", stats.path?.toUpperCase().replace("RELAY/", "relay over ")],
    ["Codec", stats.codec],
  ];
  return rows.filter(([, text]) => text);
}

/** What the person should know now, most urgent first. `level` in dBFS or null, `quality` as chosen. */
export function warningsFor({ stats, quality, level, silentS }) {
  const found = [];
  if (stats?.limitedBy === "bandwidth") found.push("The connection is too slow for this quality. Choose a lower one, or use a cable.");
  if (stats?.limitedBy === "cpu") found.push("This device is too busy to encode this quality. Close other programs, or choose a lower one.");
  if (stats?.lostShare > 0.03) found.push("The connection loses packets; viewers may see the picture break up.");
  if (stats?.roundTripS > 0.4) found.push("The connection is slow to answer; that adds to the viewers' delay.");
  if (Number.isFinite(stats?.fps) && stats.fps > 0 && stats.fps < quality.fps * 0.6) found.push("Fewer pictures per second are sent than chosen.");
  if (stats?.codec && stats.codec.toUpperCase() !== "H264") found.push("This browser does not send H.264; the server has to encode the picture again.");
  if (level === null) found.push("No sound is sent.");
  else if (silentS > 5) found.push("Nothing can be heard. Is the microphone muted?");
  else if (level > -3) found.push("The sound is too loud and may be distorted.");
  return found;
}
