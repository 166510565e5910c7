// What people did during the event, again, as playback passes it. Pure: where playback is, is an
// argument. Entries come from `PUT /v1/events/{event}/replay` and from the event's markers.

import { placeOf } from "./timeline.js";

const MOST_SHOWN = 50;

export class Replay {
  /** In order: {at (seconds on the recording), kind, data}. */
  entries;
  #next = 0;

  /** `entries` as they are stored, with `at_ms`; those after the recording's end are left out. */
  constructor(entries, segments) {
    this.entries = entries
      .map(({ at_ms: atMs, kind, data }) => ({ at: placeOf(atMs, segments), kind, data: data ?? {} }))
      .filter(({ at }) => at !== null)
      .sort((a, b) => a.at - b.at);
  }

  /** Playback has gone on to `seconds`: what it passed on the way. */
  pass(seconds) {
    const first = this.#next;
    this.#next = Math.max(first, this.#after(seconds));
    return this.entries.slice(first, this.#next);
  }

  /** Playback was moved to `seconds`: nothing on the way was passed. Returns what viewers would see. */
  seek(seconds) {
    this.#next = this.#after(seconds);
    return this.entries.slice(Math.max(0, this.#next - MOST_SHOWN), this.#next);
  }

  /** How many entries are at or before `seconds`. */
  #after(seconds) {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].at <= seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Markers as entries. Chapters have a list of their own. */
export function entriesOf(markers) {
  return markers
    .filter(({ kind }) => kind !== "chapter")
    .map(({ kind, title, start, data }) => ({ at_ms: Date.parse(start), kind, data: { text: title, ...data } }));
}

/** What the page shows of an entry: {who, text}. */
export function shownOf({ data }) {
  const line = (value) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  return { who: line(data.name), text: line(data.text) };
}
