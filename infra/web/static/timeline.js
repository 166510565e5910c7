// Where the wall clock is on a recording, by its playlist. Pure: texts and numbers in, numbers out.
// A recording leaves gaps out (a reconnect, a restart), so this is no subtraction.

/** The URI of the first variant in a multivariant playlist; null for a media playlist. */
export function firstVariant(text) {
  const lines = text.split(/\r?\n/);
  const at = lines.findIndex((line) => line.startsWith("#EXT-X-STREAM-INF:"));
  return at < 0 ? null : (lines.slice(at + 1).find((line) => line && !line.startsWith("#")) ?? null);
}

/** The segments of a media playlist: [{start, duration, at}], in seconds, `at` in Unix ms or null. */
export function segmentsOf(text) {
  const segments = [];
  let start = 0;
  let at = null;
  for (const line of text.split(/\r?\n/)) {
    const [tag, value = ""] = line.split(/:(.*)/s);
    if (tag === "#EXT-X-PROGRAM-DATE-TIME") at = Date.parse(value);
    if (tag !== "#EXTINF") continue;
    const duration = Number.parseFloat(value);
    segments.push({ start, duration, at: Number.isFinite(at) ? at : null });
    start += duration;
    at = null;
  }
  return segments;
}

/**
 * Seconds on the recording when it is `at` (Unix ms): 0 for what came before it, the next picture
 * for what fell into a gap, null for what came after it.
 */
export function placeOf(at, segments) {
  const dated = segments.filter((segment) => segment.at !== null);
  for (const { start, duration, at: began } of dated) {
    if (at < began) return start;
    if (at < began + duration * 1000) return start + (at - began) / 1000;
  }
  return null;
}

/** Chapters of the recording from markers: [{id, title, start, end}] in seconds, in order. */
export function chaptersOf(markers, segments, duration) {
  const chapters = [];
  for (const { id, kind, title, start, end } of markers) {
    const place = kind === "chapter" ? placeOf(Date.parse(start), segments) : null;
    if (place === null) continue;
    const until = end ? placeOf(Date.parse(end), segments) : null;
    chapters.push({ id, title: title || "Chapter", start: place, end: until });
  }
  chapters.sort((a, b) => a.start - b.start);
  chapters.forEach((chapter, n) => {
    const next = chapters[n + 1]?.start ?? duration;
    // An end that is open is where the next one begins.
    chapter.end = Math.min(chapter.end ?? next, next);
  });
  // One that was over before the first picture has no stretch of its own.
  return chapters.filter((chapter) => chapter.end > chapter.start);
}

/** The last of `chapters` that holds `seconds`, or null. */
export function chapterAt(chapters, seconds) {
  return chapters.findLast(({ start, end }) => start <= seconds && seconds < end) ?? null;
}
