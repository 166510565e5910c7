// Makes clips of a recording: marks, a title, a mode, and what becomes of it. Only shown to those whose
// token allows it.

import { tokenUrl } from "./messages.js";
import { clipText, clipTrouble, placeText } from "./vod-messages.js";

const FIRST_MS = 400;
const LAST_MS = 3000;
const OVER = ["succeeded", "dead", "cancelled"];

const find = (id) => document.getElementById(id);

export class ClipMaker {
  #video;
  #feed;
  #token;
  #from = null;
  #to = null;
  #busy = false;

  constructor(video, feed, token) {
    this.#video = video;
    this.#feed = feed;
    this.#token = token;
    find("clip-from").addEventListener("click", () => this.mark("from"));
    find("clip-to").addEventListener("click", () => this.mark("to"));
    find("clip-toggle").addEventListener("click", () => this.#toggle());
    find("clip").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    this.#render();
  }

  /** Takes the place that is shown as the clip's beginning or end. */
  mark(which) {
    if (find("clip").hidden) return;
    const place = Math.round(this.#video.currentTime * 1000) / 1000;
    if (which === "from") this.#from = place;
    else this.#to = place;
    this.#render();
  }

  #toggle() {
    find("clip").hidden = !find("clip").hidden;
    find("clip-toggle").setAttribute("aria-expanded", String(!find("clip").hidden));
    if (!find("clip").hidden) find("clip-from").focus();
  }

  #render() {
    const trouble = clipTrouble(this.#from, this.#to);
    find("clip-from-place").textContent = this.#from === null ? "–" : placeText(this.#from);
    find("clip-to-place").textContent = this.#to === null ? "–" : placeText(this.#to);
    find("clip-note").textContent = trouble || `${(this.#to - this.#from).toFixed(1)} s long.`;
    find("clip-make").disabled = trouble !== "" || this.#busy;
  }

  async #make() {
    this.#busy = true;
    this.#render();
    find("clip-result").replaceChildren();
    try {
      const title = find("clip-title").value.trim();
      const mode = document.querySelector("input[name=clip-mode]:checked").value;
      const wanted = { start: this.#from, end: this.#to, mode, ...(title && { title }) };
      await this.#follow(await this.#feed.makeClip(wanted));
    } catch (error) {
      this.#say(error.message);
    }
    this.#busy = false;
    this.#render();
  }

  async #follow(clip) {
    let shown = clip;
    for (let wait = FIRST_MS; !OVER.includes(shown.state); wait = Math.min(wait * 1.5, LAST_MS)) {
      this.#say(clipText(shown), shown.progress);
      await new Promise((resolve) => setTimeout(resolve, wait));
      shown = await this.#feed.clip(clip.id);
    }
    this.#say(clipText(shown));
    if (shown.state === "succeeded" && shown.asset?.viewer_url) this.#offer(shown);
  }

  #offer({ id, mode, asset }) {
    const page = new URL(location.href);
    page.search = new URLSearchParams({ clip: id });
    // Where everybody may watch, a link that is passed on need not carry the right to make clips.
    if (this.#feed.vod?.access === "public") page.hash = "";
    const links = [link("Open the clip", page.href)];
    if (mode === "exact") links.push(link("Download the clip", `${tokenUrl(asset.viewer_url, this.#token)}?download`));
    find("clip-result").replaceChildren(...links);
  }

  #say(text, progress = null) {
    find("clip-state").textContent = text;
    find("clip-progress").hidden = progress === null;
    if (progress === null) return;
    if (progress > 0) find("clip-progress").value = progress;
    else find("clip-progress").removeAttribute("value");
  }
}

function link(text, href) {
  return Object.assign(document.createElement("a"), { textContent: text, href, className: "quiet-action" });
}
