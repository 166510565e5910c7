// The small pictures of a scrub bar: a WebVTT file whose cues name places on sheets. Pure.

const TIME = /(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})/;
const PLACE = /^(\S+)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/;

/** Cells in order: {from, to, url, x, y, width, height}, in seconds and pixels of the sheet. */
export function cellsOf(text, base) {
  const cells = [];
  let times = null;
  for (const line of text.split(/\r?\n/)) {
    const [from, to] = line.split("-->").map(secondsOf);
    if (Number.isFinite(from) && Number.isFinite(to)) {
      times = { from, to };
      continue;
    }
    const place = times && PLACE.exec(line.trim());
    if (!place) continue;
    const [x, y, width, height] = place.slice(2).map(Number);
    cells.push({ ...times, url: new URL(place[1], base).href, x, y, width, height });
    times = null;
  }
  return cells;
}

/** The cell that stands for `seconds`, or null where there are none. */
export function cellAt(cells, seconds) {
  let low = 0;
  let high = cells.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (cells[middle].from <= seconds) low = middle;
    else high = middle - 1;
  }
  return cells[low] ?? null;
}

function secondsOf(text) {
  const found = TIME.exec(text ?? "");
  if (!found) return NaN;
  const [hours, minutes, seconds, milliseconds] = found.slice(1).map((part) => Number(part ?? 0));
  return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000;
}
