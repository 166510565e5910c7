// The bar over a recording: what was played, what is loaded, where chapters begin, and a small picture
// of the place under the pointer. A range input, so keyboards and screen readers know it.

import { cellAt } from "./storyboard.js";
import { chapterAt } from "./timeline.js";
import { placeText, spokenPlace } from "./vod-messages.js";

const STEP_S = { ArrowLeft: -5, ArrowRight: 5, ArrowDown: -5, ArrowUp: 5, PageDown: -60, PageUp: 60 };

export class Scrub {
  /** Of the storyboard. */
  cells = [];
  #chapters = [];
  #video;
  #seek;
  #held = false;
  #bar = document.getElementById("seek");
  #area = document.getElementById("scrub");
  #played = document.getElementById("scrub-played");
  #loaded = document.getElementById("scrub-loaded");
  #marks = document.getElementById("scrub-marks");
  #preview = document.getElementById("preview");
  #picture = document.getElementById("preview-picture");

  /** `seek` moves playback to so many seconds. */
  constructor(video, seek) {
    this.#video = video;
    this.#seek = seek;
    this.#bar.addEventListener("input", () => {
      this.#held = true;
      this.#show(Number(this.#bar.value));
      this.#draw(Number(this.#bar.value));
    });
    this.#bar.addEventListener("change", () => {
      this.#held = false;
      this.#hide();
      this.#seek(Number(this.#bar.value));
    });
    this.#bar.addEventListener("keydown", (event) => this.#key(event));
    this.#area.addEventListener("pointermove", (event) => this.#point(event));
    this.#area.addEventListener("pointerleave", () => this.#held || this.#hide());
    for (const name of ["timeupdate", "progress", "durationchange", "seeking", "emptied"]) {
      video.addEventListener(name, () => this.render());
    }
    video.addEventListener("durationchange", () => this.#mark());
  }

  get duration() {
    return Number.isFinite(this.#video.duration) ? this.#video.duration : 0;
  }

  set chapters(chapters) {
    this.#chapters = chapters;
    this.#mark();
  }

  render() {
    this.#bar.max = this.duration;
    this.#bar.disabled = !this.duration;
    if (!this.#held) {
      this.#bar.value = this.#video.currentTime;
      this.#draw(this.#video.currentTime);
    }
    this.#loaded.style.width = this.#share(this.#loadedUntil());
  }

  /** A line where each chapter begins but the first. */
  #mark() {
    const made = this.#chapters.filter(({ start }) => start > 0).map(({ start }) => {
      const mark = document.createElement("span");
      mark.style.left = this.#share(start);
      return mark;
    });
    this.#marks.replaceChildren(...made);
  }

  #draw(seconds) {
    this.#played.style.width = this.#share(seconds);
    const chapter = chapterAt(this.#chapters, seconds);
    const words = `${spokenPlace(seconds)} of ${spokenPlace(this.duration)}`;
    this.#bar.setAttribute("aria-valuetext", chapter ? `${words}, ${chapter.title}` : words);
  }

  #loadedUntil() {
    const { buffered, currentTime } = this.#video;
    for (let n = 0; n < buffered.length; n += 1) {
      if (buffered.start(n) <= currentTime + 0.1 && currentTime < buffered.end(n)) return buffered.end(n);
    }
    return currentTime;
  }

  #key(event) {
    const step = STEP_S[event.key];
    if (!step) return;
    event.preventDefault();
    this.#seek(this.#video.currentTime + step);
  }

  #point(event) {
    if (event.pointerType === "touch" && !this.#held) return;
    const { left, width } = this.#area.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    this.#show(share * this.duration);
  }

  /** The picture of that place above it, as far as it fits the bar. */
  #show(seconds) {
    if (!this.duration) return;
    const cell = cellAt(this.cells, seconds);
    this.#picture.hidden = !cell;
    if (cell) {
      const { style } = this.#picture;
      style.width = `${cell.width}px`;
      style.height = `${cell.height}px`;
      style.backgroundImage = `url("${cell.url}")`;
      style.backgroundPosition = `-${cell.x}px -${cell.y}px`;
    }
    document.getElementById("preview-place").textContent = placeText(seconds);
    document.getElementById("preview-chapter").textContent = chapterAt(this.#chapters, seconds)?.title ?? "";
    this.#preview.hidden = false;
    const room = this.#area.clientWidth - this.#preview.offsetWidth;
    const middle = (seconds / this.duration) * this.#area.clientWidth - this.#preview.offsetWidth / 2;
    this.#preview.style.left = `${Math.min(Math.max(0, middle), Math.max(0, room))}px`;
  }

  #hide() {
    this.#preview.hidden = true;
  }

  #share(seconds) {
    return `${this.duration ? Math.min(100, (100 * seconds) / this.duration) : 0}%`;
  }
}
