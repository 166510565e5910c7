// What the VOD page says, as pure functions of what is known. No DOM, no clock, no network.

/** "0:07", "12:03" or "1:02:03" for a place on the recording. */
export function placeText(seconds) {
  const total = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

/** The same for a screen reader: "1 hour 2 minutes 3 seconds". */
export function spokenPlace(seconds) {
  const total = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const parts = [[Math.floor(total / 3600), "hour"], [Math.floor((total % 3600) / 60), "minute"], [total % 60, "second"]];
  const said = parts.filter(([count]) => count).map(([count, word]) => `${count} ${word}${count === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** "812 KB", "4.2 MB", "1.3 GB". */
export function sizeText(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 999_500) return `${Math.max(1, Math.round(bytes / 1000))} KB`;
  return bytes < 999_500_000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** The word in the state pill. */
export function statusWord(status) {
  const words = { "not-begun": "Scheduled", live: "Live", making: "Being made", ready: "Recording", failed: "No recording", none: "No recording" };
  return words[status] ?? "Loading";
}

/** What covers the picture, or null. `vod` is the recording as the API shows it, or null. */
export function vodOverlay({ vod, trouble, hasToken }) {
  if (trouble === "unsupported") {
    return { title: "This browser cannot play the recording", text: "It lacks Media Source Extensions and native HLS. A current Chrome, Edge, Firefox or Safari plays it." };
  }
  if (trouble === "not-found") {
    return { title: "There is no such recording", text: "The link may be mistyped, or it was removed." };
  }
  if (trouble === "denied") {
    return hasToken
      ? { title: "This link has expired", text: "Ask the organiser for a new one." }
      : { title: "This recording needs a personal link", text: "Open the link that the organiser sent you; it carries your ticket after the # sign." };
  }
  if (!vod) {
    return trouble === "offline"
      ? { busy: true, title: "Cannot reach the server", text: "Trying again by itself." }
      : { busy: true, title: "Loading", text: "" };
  }
  if (vod.status === "not-begun") {
    return { title: "This event has not begun", text: "Its recording will be here when it is over.", action: "Go to the event" };
  }
  if (vod.status === "live") {
    return { title: "This event is live", text: "Its recording will be here when it is over.", action: "Watch it live" };
  }
  if (vod.status === "failed") {
    return { title: "The recording could not be made", text: "The organiser can see why, and try again." };
  }
  if (vod.status === "none") {
    return { title: "This event was not recorded", text: "" };
  }
  if (vod.status === "making") {
    return { busy: true, title: "The recording is being made", text: "It appears here by itself, mostly within seconds." };
  }
  if (trouble === "broken") {
    return { title: "The recording cannot be played now", text: "The server does not give it, or it is damaged.", action: "Try again" };
  }
  return null;
}

/** How a file to keep is called in the list. */
export function downloadText({ name, rendition, bytes }, count) {
  const which = rendition && rendition !== "video" ? `, ${rendition}` : "";
  return count > 1 ? `${name}${which} (${sizeText(bytes)})` : `Download MP4${which} (${sizeText(bytes)})`;
}

/** Why there is nothing to download yet; empty where there is. */
export function downloadNote(vod) {
  if (vod?.status !== "ready" || vod.downloads.length) return "";
  return "The file to download is being made; the button appears here.";
}

/** Whether a stretch can become a clip: an explanation, or "" when it can. */
export function clipTrouble(from, to) {
  if (from === null || to === null) return "Mark where the clip begins and where it ends.";
  if (to <= from) return "The clip would end before it begins.";
  return to - from > 3600 ? "A clip can be an hour long." : "";
}

/** What is said while a clip is made and when it is there. */
export function clipText({ state, progress, error }) {
  if (state === "succeeded") return "The clip is there.";
  if (state === "dead") return `The clip could not be made: ${error ?? "no reason is known"}.`;
  if (state === "cancelled") return "The clip was cancelled.";
  if (state === "running" && progress > 0) return `Being made, ${Math.round(progress * 100)} %.`;
  return state === "retrying" ? "Waiting for the recording, then trying again." : "Waiting for its turn.";
}

/** The name of a language in the viewer's own, as far as the browser knows it. */
export function languageName(code, locale = "en") {
  if (!code || code === "und") return "Captions";
  try {
    return new Intl.DisplayNames([locale], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
