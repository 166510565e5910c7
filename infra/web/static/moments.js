// Markers of the event, from whichever transport tells them, and which one the page shows when.
// Pure: what time the picture shows is an argument.

/** How long a marker is shown from when the picture reaches it. */
export const SHOWN_MS = 8000;
// A client that watches for days forgets the oldest.
const MOST = 500;
const CLASS = "com.livepath.";
const ATTRIBUTE = "X-COM-LIVEPATH-";
const WORDS = { poll: "Poll", product: "Product", chapter: "Chapter" };

export class Moments {
  /** Marker id -> {marker, reachedAt}; `reachedAt` is null until the picture is there. */
  #known = new Map();

  /** Takes {id, kind, title?, start_ms, end_ms?, data}; the same id again carries its end. */
  receive(marker) {
    if (typeof marker?.id !== "string" || !Number.isFinite(marker.start_ms)) return;
    const known = this.#known.get(marker.id);
    this.#known.set(marker.id, { marker, reachedAt: known?.reachedAt ?? null });
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value);
  }

  /** The marker to show while the picture shows `at` (Unix ms), or null: the latest one reached. */
  shown(at) {
    let latest = null;
    for (const known of this.#known.values()) {
      const { marker } = known;
      if (marker.start_ms > at) continue;
      known.reachedAt ??= wasMissed(marker, at) ? -Infinity : at;
      const fresh = Math.abs(at - known.reachedAt) < SHOWN_MS;
      if (fresh && (!latest || marker.start_ms >= latest.start_ms)) latest = marker;
    }
    return latest;
  }
}

/** It was over before this viewer came. One whose end is open is news to whoever comes late. */
function wasMissed({ start_ms: start, end_ms: end }, at) {
  return Number.isFinite(end) && Math.max(end, start + SHOWN_MS) <= at;
}

/** A marker from an hls.js date range, or null for one that is none of ours. */
export function fromDateRange({ id, class: name, startDate, endDate, attr }) {
  if (!name?.startsWith(CLASS)) return null;
  const marker = { id, kind: name.slice(CLASS.length), start_ms: +new Date(startDate), data: {} };
  if (endDate) marker.end_ms = +new Date(endDate);
  for (const [key, value] of Object.entries(attr ?? {})) {
    if (!key.startsWith(ATTRIBUTE)) continue;
    const field = key.slice(ATTRIBUTE.length);
    if (field === "TITLE") marker.title = value;
    else marker.data[field.toLowerCase().replaceAll("-", "_")] = value;
  }
  return marker;
}

/** What the page calls a kind of marker. */
export function kindWord(kind) {
  const words = String(kind).replaceAll("-", " ");
  return WORDS[kind] ?? words.charAt(0).toUpperCase() + words.slice(1);
}
