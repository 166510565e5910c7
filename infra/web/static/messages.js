// What the page says, as pure functions of what is known. No DOM, no clock, no network.

/** "1.2 s", "14 s", "2 min" for a delay in seconds. */
export function delayText(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const shown = Math.max(0, seconds);
  if (shown < 9.95) return `${shown.toFixed(1)} s`;
  if (shown < 90) return `${Math.round(shown)} s`;
  return `${Math.round(shown / 60)} min`;
}

/** "12:03", "1:02:03" or "2 days 03:04:05" for the time left until the start. */
export function countdownText(milliseconds) {
  const total = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const days = Math.floor(total / 86400);
  const hours = Math.floor((total % 86400) / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const clock = `${two(minutes)}:${two(total % 60)}`;
  if (days) return `${days} ${days === 1 ? "day" : "days"} ${two(hours)}:${clock}`;
  return hours ? `${hours}:${clock}` : clock;
}

/** "20:00 (Europe/Berlin)." as the organiser says the start; empty where no zone is named. */
export function startText(event) {
  const local = event.time_zone && event.starts_at_local;
  return local ? `${local.slice(11, 16)} (${event.time_zone.replaceAll("_", " ")}).` : "";
}

/** The word in the state pill. */
export function stateWord(state) {
  const words = {
    draft: "Draft",
    scheduled: "Scheduled",
    lobby: "Lobby open",
    live: "Live",
    reconnecting: "Reconnecting",
    ended: "Ended",
    archived: "Ended, recorded",
    cancelled: "Cancelled",
  };
  return words[state] ?? "Loading";
}

/** What the live badge may claim: live, behind, waiting, paused, or nothing (off). */
export function badgeMode({ state, started, paused, moving, latency, target }) {
  if (!started || (state !== "live" && state !== "reconnecting")) return "off";
  if (paused) return "paused";
  if (!moving) return "waiting";
  return Number.isFinite(latency) && latency > target + 2.5 ? "behind" : "live";
}

/**
 * What covers the picture, or null when nothing should.
 * `event` is the playback info or null, `trouble` a code of playback.js or null, `rendition` what a
 * WebRTC viewer was moved to ({rendition, reason}) or null. `announce`, where a screen reader is to
 * hear more than the title.
 */
export function overlayFor({ event, trouble, playing, finished, startsInMs, hasToken, rendition = null }) {
  if (trouble === "unsupported") {
    return { kind: "solid", title: "This browser cannot play the stream", text: "It lacks Media Source Extensions and native HLS. A current Chrome, Edge, Firefox or Safari plays it." };
  }
  if (trouble === "not-found") {
    return { kind: "solid", title: "There is no such event", text: "The link may be mistyped, or the event was removed." };
  }
  if (!event) {
    return trouble === "offline"
      ? { kind: "solid", busy: true, title: "Cannot reach the server", text: "Trying again by itself." }
      : { kind: "solid", busy: true, title: "Loading", text: "" };
  }
  if (event.state === "cancelled") {
    return { kind: "solid", title: "This event was cancelled", text: "" };
  }
  if (event.state === "scheduled" || event.state === "lobby") {
    const text = [startText(event), "The picture appears by itself."].filter(Boolean).join(" ");
    return startsInMs > 0
      ? { kind: "solid", title: "Starts in", text, countdown: true }
      : { kind: "solid", busy: true, title: "Starting soon", text: "Waiting for the broadcaster. The picture appears by itself." };
  }
  if (trouble === "denied") {
    return hasToken
      ? { kind: "solid", title: "This link has expired", text: "Ask the organiser for a new one.", action: "Try again" }
      : { kind: "solid", title: "This event needs a personal link", text: "Open the link that the organiser sent you; it carries your ticket after the # sign." };
  }
  const over = event.state === "ended" || event.state === "archived";
  if (over && event.started_at === null && !playing) {
    return { kind: "solid", title: "This event has ended", text: "Nothing was broadcast." };
  }
  if (over && (finished || !playing)) {
    if (event.recorded === false) {
      return { kind: "solid", title: "This event has ended", text: "It was not recorded." };
    }
    return event.state === "ended"
      ? { kind: "solid", title: "This event has ended", text: "Its recording is being prepared." }
      : { kind: "solid", title: "This event has ended", text: "Its recording is ready.", action: "Watch the recording" };
  }
  if (trouble === "blocked") {
    return { kind: "solid", title: "Ready to play", text: "", action: "Play" };
  }
  if (event.state === "reconnecting" && !playing) {
    return { kind: "busy", busy: true, title: "The broadcaster's connection dropped", text: "Waiting for it to come back." };
  }
  if (trouble === "offline" && !playing) {
    return { kind: "busy", busy: true, title: "Connection lost", text: "Trying again by itself." };
  }
  if (rendition?.rendition === "audio") {
    const text = `${why(rendition)} The picture comes back by itself.`.trim();
    return { kind: "busy", title: "Sound only", text, announce: renditionText(rendition) };
  }
  return null;
}

/** What a WebRTC viewer gets now that is not the best there is, and why; empty: the best. */
export function renditionText(rendition) {
  if (!rendition?.rendition || rendition.rendition === "main") return "";
  const what = rendition.rendition === "audio" ? "Sound only" : `Picture at ${rendition.rendition}`;
  return `${what}. ${why(rendition)}`.trim();
}

/** The server's reason as a sentence. */
function why({ reason }) {
  const words = String(reason ?? "");
  return words && `${words[0].toUpperCase()}${words.slice(1)}.`;
}

/** The line below the title. */
export function noteFor({ event, playing, muted, rendition = null }) {
  if (!event) return "";
  if (event.state === "reconnecting") return "The broadcaster's connection dropped; playback goes on when it is back.";
  const silent = event.state === "live" && playing && muted ? "Playing without sound." : "";
  return [renditionText(rendition), silent].filter(Boolean).join(" ");
}

/** Rows of the stats overlay, [label, text]; what is not known is left out. `latency` in seconds. */
export function statsRows(stats, latency) {
  const known = Number.isFinite;
  const lost = known(stats.lost) && known(stats.packets);
  const frames = known(stats.decoded) && `${stats.decoded} decoded, ${stats.dropped ?? 0} dropped`;
  const rows = [
    ["Transport", { webrtc: "WebRTC", hls: "LL-HLS" }[stats.transport]],
    ["Path", stats.path?.toUpperCase().replace("RELAY/", "relay over ")],
    ["Behind live", known(latency) && `${Math.max(0, Math.round(latency * 1000))} ms`],
    ["Round trip", known(stats.roundTripS) && `${Math.round(stats.roundTripS * 1000)} ms`],
    ["Jitter", known(stats.jitterS) && `${(stats.jitterS * 1000).toFixed(1)} ms`],
    ["Lost packets", lost && `${stats.lost} of ${stats.packets + stats.lost} (${percent(stats.lost, stats.packets + stats.lost)})`],
    ["Sent again", known(stats.retransmitted) && `${stats.retransmitted} packets`],
    ["Buffer", known(stats.buffer) && `${stats.buffer.toFixed(1)} s`],
    ["Bit rate", known(stats.bitrate) && rateText(stats.bitrate)],
    ["Picture", stats.width && `${stats.width} × ${stats.height}${known(stats.fps) ? `, ${Math.round(stats.fps)} fps` : ""}`],
    ["Codec", stats.codec],
    ["Frames", frames],
  ];
  return rows.filter(([, text]) => text);
}

/** "812 kbit/s", "2.4 Mbit/s". */
export function rateText(bitsPerSecond) {
  if (!Number.isFinite(bitsPerSecond)) return "";
  return bitsPerSecond < 999_500 ? `${Math.round(bitsPerSecond / 1000)} kbit/s` : `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
}

function percent(part, whole) {
  return `${whole > 0 ? ((100 * part) / whole).toFixed(1) : "0.0"} %`;
}

/** The media URL with the viewer's token as a path prefix; the token never enters a query. */
export function tokenUrl(url, token) {
  if (!token) return url;
  const full = new URL(url);
  full.pathname = `/t/${token}${full.pathname}`;
  return full.href;
}
