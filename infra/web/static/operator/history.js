// The readings of one event that the page has, and lines through them. Pure.
// Invariant: at most an hour of them, in order of time, each once.

export const KEPT = 720;
const SHORTEST_MS = 60_000;
const GAP_MS = 16_000; // three readings are missing

export class History {
  #readings = [];

  get readings() {
    return this.#readings;
  }

  /** Readings from the list or the stream, in any order, known ones among them. */
  add(readings) {
    const known = new Set(this.#readings.map(({ at }) => at));
    const fresh = readings.filter(({ at }) => !known.has(at) && known.add(at));
    if (!fresh.length) return;
    this.#readings = [...this.#readings, ...fresh].sort((a, b) => Date.parse(a.at) - Date.parse(b.at)).slice(-KEPT);
  }

  /** Where a chart of the last `windowMs` begins: not long before the first reading that is known. */
  from(now, windowMs) {
    const first = this.#readings.length ? Date.parse(this.#readings[0].at) : now;
    return Math.max(now - windowMs, Math.min(first, now - SHORTEST_MS));
  }

  /** `[{ at, value }]` since `from`; `pick` gives null where a reading does not say. */
  series(pick, from = 0) {
    return this.#readings
      .map((reading) => ({ at: Date.parse(reading.at), value: pick(reading) }))
      .filter(({ at }) => at >= from);
  }
}

/** Least, greatest and last of a series, or null where there is none. */
export function extent(series) {
  const values = series.map(({ value }) => value).filter((value) => value !== null);
  if (!values.length) return null;
  return { least: Math.min(...values), greatest: Math.max(...values), last: values.at(-1) };
}

/** Points for SVG polylines, one for each stretch without a gap. `top` is the value at the upper edge. */
export function polylines(series, { from, to, width, height, top }) {
  const lines = [];
  let line = null;
  let before = -Infinity;
  for (const { at, value } of series) {
    if (value === null) {
      line = null;
      continue;
    }
    if (!line || at - before > GAP_MS) lines.push((line = []));
    const x = ((at - from) / Math.max(to - from, 1)) * width;
    const y = height - (Math.min(value, top) / Math.max(top, 1e-9)) * height;
    line.push(`${x.toFixed(1)},${y.toFixed(1)}`);
    before = at;
  }
  // A single point would not be seen.
  return lines.map((points) => (points.length > 1 ? points : [points[0], points[0]]).join(" "));
}

/** A round value above `greatest`, for the upper edge of a chart. */
export function topFor(greatest, least = 1) {
  const wanted = Math.max(greatest * 1.1, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].map((step) => step * power).find((value) => value >= wanted);
}
